//! The Content-Security-Policy of pages, and its place: a browser applies the policy of a `meta` element from there on, and only
//! within the head (CSP Level 3, 3.3; HTML Standard, 4.2.5.3). Before it, nothing may load or run.

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

/// The Content-Security-Policy that forbids a page to load, run or send anything, whatever its content.
pub(crate) const POLICY: &str = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">";

/// The attributes that `html` and `head` may have before the policy: none of them runs or loads anything.
const PLAIN: [&str; 6] = ["class", "dir", "id", "lang", "prefix", "translate"];

/// Returns what is wrong with the policy of a page, with its line from 1; `None` if the policy is in force before anything else.
///
/// Before the policy, a page may have its document type, comments, `html`, `head`, and `meta` elements without `http-equiv`. A page
/// that is a template is judged without its statements, and with a word in place of each expression.
pub(crate) fn mistake(page: &str) -> Option<(u64, String)> {
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(page));
    let tokenizer = Tokenizer::new(Sink::default(), TokenizerOpts::default());
    // The tokenizer stops behind each script.
    while !input.is_empty() {
        let _ = tokenizer.feed(&input);
    }
    tokenizer.end();
    let Seen { in_force, mistake, .. } = tokenizer.sink.0.into_inner();
    mistake.or_else(|| {
        (!in_force).then(|| (1, format!("the policy is missing. Add this line to its head: {POLICY}")))
    })
}

/// Returns a template with the line breaks of its statements and comments, and with a word for each expression. What remains is
/// in every page, or may be.
pub(crate) fn without_statements(template: &str) -> String {
    let mut page = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(begin) = rest.find(['{']) {
        let (end, word) = match rest.as_bytes().get(begin + 1) {
            Some(b'%') => ("%}", ""),
            Some(b'#') => ("#}", ""),
            Some(b'{') => ("}}", "x"),
            _ => {
                page.push_str(&rest[..=begin]);
                rest = &rest[begin + 1..];
                continue;
            }
        };
        page.push_str(&rest[..begin]);
        let inner = &rest[begin..];
        let length = inner.find(end).map_or(inner.len(), |at| at + end.len());
        page.push_str(word);
        page.push_str(&"\n".repeat(inner[..length].matches('\n').count()));
        rest = &inner[length..];
    }
    page + rest
}

/// The tokens of a page so far.
#[derive(Default)]
struct Seen {
    /// Whether the policy has been read.
    in_force: bool,
    has_html: bool,
    has_head: bool,
    mistake: Option<(u64, String)>,
}

#[derive(Default)]
struct Sink(RefCell<Seen>);

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, line: u64) -> TokenSinkResult<()> {
        let mut seen = self.0.borrow_mut();
        let found = match &token {
            Token::TagToken(tag) => seen.tag(tag),
            Token::CharacterTokens(text) if !seen.in_force && !text.trim().is_empty() => {
                Some("text".to_owned())
            }
            Token::NullCharacterToken if !seen.in_force => Some("a NUL".to_owned()),
            // Old browsers read the content of such a comment.
            Token::CommentToken(text) if !seen.in_force && text.trim_start().starts_with('[') => {
                Some("a conditional comment".to_owned())
            }
            _ => None,
        };
        if let Some(found) = found.filter(|_| seen.mistake.is_none()) {
            let message = if seen.in_force {
                format!("{found} would leave the page. Remove it")
            } else {
                format!(
                    "{found} is before the policy, which must come first in the head. Move it behind the policy, or add this line: {POLICY}"
                )
            };
            seen.mistake = Some((line, message));
        }
        TokenSinkResult::Continue
    }
}

impl Seen {
    /// Reads a tag, and returns what may not be there.
    fn tag(&mut self, tag: &Tag) -> Option<String> {
        let attribute =
            |name: &str| tag.attrs.iter().find(|attr| &*attr.name.local == name).map(|attr| &*attr.value);
        let is_meta = &*tag.name == "meta" && tag.kind == TagKind::StartTag;
        let pragma = attribute("http-equiv").filter(|_| is_meta);
        if self.in_force {
            let is_refresh = pragma.is_some_and(|pragma| pragma.trim().eq_ignore_ascii_case("refresh"));
            return is_refresh.then(|| "a meta refresh".to_owned());
        }
        let is_bare = tag.attrs.iter().all(|attr| PLAIN.contains(&&*attr.name.local));
        match (&*tag.name, tag.kind) {
            ("html", TagKind::StartTag) if is_bare && !self.has_html && !self.has_head => {
                self.has_html = true;
                None
            }
            ("head", TagKind::StartTag) if is_bare && !self.has_head => {
                self.has_head = true;
                None
            }
            ("meta", TagKind::StartTag) if pragma.is_none() => None,
            ("meta", TagKind::StartTag)
                if pragma.is_some_and(|pragma| pragma.eq_ignore_ascii_case("content-security-policy"))
                    && attribute("content")
                        .is_some_and(|content| POLICY.ends_with(&format!(" content=\"{content}\">"))) =>
            {
                self.in_force = true;
                None
            }
            (name, TagKind::StartTag) => Some(format!("<{name}>")),
            (name, TagKind::EndTag) => Some(format!("</{name}>")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{POLICY, mistake, without_statements};

    #[track_caller]
    fn check(template: &str, expected: Option<&str>) {
        let page = without_statements(&template.replace("POLICY", POLICY));
        match (mistake(&page), expected) {
            (None, None) => {}
            (Some((line, message)), Some(expected)) => {
                assert!(format!("{line}: {message}").starts_with(expected), "{template}: {line}: {message}");
            }
            (found, _) => assert_eq!(found, None, "{template}"),
        }
    }

    #[test]
    fn the_policy_comes_before_everything_that_loads_or_runs() {
        for well in [
            "<!doctype html>\n<html lang=\"{{ words.lang }}\">\n<head>\n<meta charset=\"utf-8\">\nPOLICY\n<title>x</title></head><body>",
            "{# x #}<!-- by Ada --><HTML class=\"a\"><HEAD>{% if a %}\nPOLICY{% endif %}<style>{{ css }}</style>",
            "POLICY<style>{{ css }}</style><p>without tags of a head</p>",
            "<head>POLICY<svg onload=x></svg><script>x</script>",
            "<head><META CONTENT=\"default-src &#39;none&#39;; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\" HTTP-EQUIV=content-security-policy>",
        ] {
            check(well, None);
        }
        for (bad, expected) in [
            ("", "1: the policy is missing"),
            ("<html><head></head><body>POLICY", "1: </head> is before"),
            ("<html><head>\n<script src=x></script>POLICY", "2: <script> is before"),
            ("<head><SCRIPT>1</SCRIPT>POLICY", "1: <script> is before"),
            ("<head><style>@import 'x';</style>POLICY", "1: <style> is before"),
            ("<head><link rel=stylesheet href=x>POLICY", "1: <link> is before"),
            ("<head><base href=//x>POLICY", "1: <base> is before"),
            ("<head><title>POLICY</title>", "1: <title> is before"),
            ("<head><noscript>POLICY</noscript>", "1: <noscript> is before"),
            ("<head><template>POLICY</template>", "1: <template> is before"),
            ("<svg onload=alert(1)><head>POLICY", "1: <svg> is before"),
            ("<img src=x onerror=alert(1)><html><head>POLICY", "1: <img> is before"),
            ("<body onload=x><head>POLICY", "1: <body> is before"),
            ("<html onload=x><head>POLICY", "1: <html> is before"),
            ("<html><head onclick=x>POLICY", "1: <head> is before"),
            ("<html><head><head>POLICY", "1: <head> is before"),
            ("<html>x<head>POLICY", "1: text is before"),
            ("<html>{{ words.lang }}<head>POLICY", "1: text is before"),
            ("<html>&#60;<head>POLICY", "1: text is before"),
            ("<!--[if IE]><script>x</script><![endif]--><head>POLICY", "1: a conditional comment is before"),
            ("<head><!-- POLICY -->", "1: the policy is missing"),
            ("<head><!--> <script>x</script> -->POLICY", "1: <script> is before"),
            ("<head><meta http-equiv=refresh content='0;url=//x'>POLICY", "1: <meta> is before"),
            (
                "<head><meta http-equiv='Content-Security-Policy' content='script-src *'>POLICY",
                "1: <meta> is before",
            ),
            ("<head><div title='POLICY'>", "1: <div> is before"),
            ("{% raw %}<script>{% endraw %}<head>POLICY", "1: <script> is before"),
            (
                "<head>POLICY\n<meta http-equiv=\"&#82;efresh\" content='0;url=//x'>",
                "2: a meta refresh would leave",
            ),
        ] {
            check(bad, Some(expected));
        }
    }
}
