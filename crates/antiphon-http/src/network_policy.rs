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
/// benchmarks (2544), the former 6to4 relays (7526), multicast and reserved addresses.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_shared = a == 100 && (64..128).contains(&b);
    let is_special =
        a == 0 || a >= 240 || matches!([a, b, c], [192, 0, 0] | [192, 88, 99] | [198, 18 | 19, _]);
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
        // An IPv4 address behind ISATAP is in the last four bytes of any prefix (RFC 5214).
        [first, .., 0 | 0x200, 0x5efe, high, low] if first & 0xe000 == 0x2000 && !embedded(high, low) => {
            false
        }
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

    /// Notations of addresses of this machine.
    const LOOPBACK: [&str; 40] = [
        "127.0.0.1",
        "127.0.0.1.",
        "127.0.0.1:8080",
        "127.1",
        "127.0.1",
        "127.255.255.254",
        "127.1.",
        "2130706433",
        "0x7f000001",
        "0X7F.1",
        "0x7f.1",
        "0x7f.0x0.0x0.0x1",
        "0177.0.0.1",
        "0177.1",
        "017700000001",
        "0177.0x0.0.1",
        "127.0.0.0x1",
        "0.0.0.0",
        "0",
        "0.",
        "0x0",
        "00000000000",
        "0.1.2.3",
        "localhost",
        "LOCALHOST.",
        "localhost..",
        "a.localhost",
        "a.localhost.",
        "LocalHost:443",
        "user@127.0.0.1",
        "example.org:x@127.0.0.1",
        "example.org%2f@127.0.0.1",
        "１２７.０.０.１",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "ｌocalhost",
        "%6cocalhost",
        "%31%32%37.0.0.1",
        "[::1]",
        "[::]",
    ];
    /// Notations of addresses of private networks.
    const PRIVATE: [&str; 26] = [
        "10.0.0.0",
        "10.1.2.3",
        "10.255.255.255",
        "167772161",
        "0x0a000001",
        "012.0.0.1",
        "10.1",
        "172.16.0.1",
        "172.31.255.255",
        "0xac.0x10.1",
        "192.168.1.1",
        "192.168.257",
        "0300.0250.1.1",
        "3232235777",
        "169.254.169.254",
        "0xa9fea9fe",
        "2852039166",
        "0251.0376.0251.0376",
        "169.254.43518",
        "169.254.169.254.",
        "100.64.0.1",
        "100.127.255.255",
        "[fc00::1]",
        "[fd12:3456:789a::1]",
        "[fd00:ec2::254]",
        "[fe80::1]",
    ];
    /// Notations of addresses with a special purpose.
    const SPECIAL: [&str; 26] = [
        "192.0.0.1",
        "192.0.0.170",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "4294967295",
        "0xffffffff",
        "[febf::1]",
        "[fec0::1]",
        "[ff02::1]",
        "[ff0e::1]",
        "[100::1]",
        "[2001:db8::1]",
        "[2001:2::1]",
        "[2001:10::1]",
        "[2001:20::1]",
        "[3fff::1]",
        "[5f00::1]",
        "[4000::1]",
    ];
    /// Notations of IPv4 addresses within IPv6: mapped, compatible, translated, NAT64, 6to4, Teredo and ISATAP.
    const EMBEDDED: [&str; 24] = [
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:FFFF:10.0.0.1]",
        "[::ffff:169.254.169.254]",
        "[::ffff:0:127.0.0.1]",
        "[::127.0.0.1]",
        "[::10.0.0.1]",
        "[::1.1.1.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::10.0.0.1]",
        "[64:ff9b::169.254.169.254]",
        "[64:ff9b:1::1]",
        "[64:ff9b:1::8.8.8.8]",
        "[64:ff9b:1:ffff::10.0.0.1]",
        "[2002:7f00:1::]",
        "[2002:a00:1::1]",
        "[2002:a9fe:a9fe::]",
        "[2002:c0a8:101::1]",
        "[2001::1]",
        "[2001:0:7f00:1::]",
        "[2606:4700::5efe:10.0.0.1]",
        "[2606:4700::200:5efe:127.0.0.1]",
        "[fe80::5efe:127.0.0.1]",
        "[::5efe:7f00:1]",
    ];

    #[test]
    fn zones_and_other_forms_are_no_addresses() {
        for address in
            ["[fe80::1%25eth0]", "[fe80::1%eth0]", "[::1", "127.0.0.256", "1.2.3.4.5", "0x100000000"]
        {
            assert!(Url::parse(&format!("https://{address}/a")).is_err(), "{address}");
        }
        assert!(NetworkPolicy::Public.excludes(&Url::parse("file:///etc/passwd").unwrap()));
    }

    #[track_caller]
    fn check(address: &str, is_excluded: bool) {
        // What is no address at all is never sent to.
        let Ok(url) = Url::parse(&format!("https://{address}/a")) else {
            return assert!(is_excluded, "{address}");
        };
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
        for address in LOOPBACK.iter().chain(&PRIVATE).chain(&SPECIAL).chain(&EMBEDDED) {
            check(address, true);
        }
        for address in [
            "1.1.1.1",
            "example.org",
            "172.32.0.1",
            "[2606:4700::1111]",
            "[::ffff:1.1.1.1]",
            "[64:ff9b::1.1.1.1]",
            "[2606:4700::5efe:1.1.1.1]",
            "100.128.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "example.org.",
            "localhost.example",
        ] {
            check(address, false);
        }
    }
}
