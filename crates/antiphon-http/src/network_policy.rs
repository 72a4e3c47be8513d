use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// The hosts that a client may connect to; `Public` protects against server-side request forgery (SSRF).
///
/// An address is checked three times: as it is written, in any notation of an IP address; each address that its name
/// resolves to, at the moment of the connection, so that a name cannot change in between (DNS rebinding); and the
/// target of each redirect.
///
/// # Examples
/// ```
/// use antiphon_http::{Client, ErrorKind, NetworkPolicy};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let client = Client::builder().network_policy(NetworkPolicy::Public).build();
/// let err = client.get("http://169.254.169.254/latest/meta-data/").await.unwrap_err();
/// assert_eq!(err.kind(), ErrorKind::InvalidRequest);
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum NetworkPolicy {
    /// All hosts.
    #[default]
    Any,
    /// Public hosts only. Loopback, private and special-purpose addresses (the registries of RFC 6890) are refused. The policy
    /// also applies to every address that a name resolves to and to the targets of redirects. No proxy is used.
    Public,
}

/// The reason for refusing an address.
pub(crate) const NOT_PUBLIC: &str =
    "the address is not public: it leads to this machine or to a private network";

impl NetworkPolicy {
    /// Returns whether the policy forbids the address as it is written, before its name is resolved.
    pub(crate) fn excludes(self, url: &Url) -> bool {
        self == Self::Public
            && match url.host() {
                Some(Host::Ipv4(address)) => !is_public(address.into()),
                Some(Host::Ipv6(address)) => !is_public(address.into()),
                Some(Host::Domain(name)) => {
                    let name = name.trim_end_matches('.').to_ascii_lowercase();
                    name == "localhost" || name.ends_with(".localhost")
                }
                None => true,
            }
    }

    /// Returns the resolver that enforces the policy; `None` for the system's own.
    pub(crate) fn resolver(self) -> Option<Arc<PublicOnly>> {
        (self == Self::Public).then(|| Arc::new(PublicOnly))
    }
}

/// A resolver that uses the system's and drops every address that is not public.
#[derive(Debug)]
pub(crate) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<_> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(NOT_PUBLIC.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Returns whether an address is globally reachable, by IANA's registries of special-purpose addresses.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Returns whether an IPv4 address is public. Excluded are, by RFC: this network, private (1918), shared (6598),
/// loopback, link-local with the metadata services of clouds (3927), protocol assignments (6890), documentation (5737),
/// benchmarks (2544), multicast and reserved addresses.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_shared = a == 100 && (64..128).contains(&b);
    let is_special =
        a == 0 || a >= 240 || (a == 192 && b == 0 && c == 0) || (a == 198 && (b == 18 || b == 19));
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast()
        || is_shared
        || is_special)
}

/// Returns whether an IPv6 address is public: global unicast without documentation and protocol assignments, where an
/// embedded IPv4 address has to be public, too.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // IPv4 addresses embedded in IPv6, in three ways (RFC 4291, 6052 and 3056).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        // Only global unicast is allocated.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use reqwest::dns::Resolve;
    use url::Url;

    use super::{NetworkPolicy, PublicOnly};

    #[track_caller]
    fn check(address: &str, is_excluded: bool) {
        let url = Url::parse(&format!("https://{address}/a")).unwrap();
        assert_eq!(NetworkPolicy::Public.excludes(&url), is_excluded, "{address}");
        assert!(!NetworkPolicy::Any.excludes(&url));
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_loopback_is_refused() {
        let found = PublicOnly.resolve("localhost".parse().unwrap()).await;
        assert_eq!(found.err().unwrap().to_string(), super::NOT_PUBLIC);
    }

    #[test]
    fn addresses_that_are_not_public_are_excluded_in_every_notation() {
        for address in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.1",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "[::1]",
            "[::]",
            "[fe80::1]",
            "[fc00::1]",
            "[::ffff:127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[ff02::1]",
            "[2001:db8::1]",
        ] {
            check(address, true);
        }
        for address in [
            "1.1.1.1",
            "example.org",
            "172.32.0.1",
            "[2606:4700::1111]",
            "[::ffff:1.1.1.1]",
            "localhost.example",
        ] {
            check(address, false);
        }
    }
}
