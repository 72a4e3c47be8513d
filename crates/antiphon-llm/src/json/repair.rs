use super::extract::Repair;

/// A text after its repairs.
pub(super) struct Repaired {
    pub(super) text: String,
    pub(super) repairs: Vec<Repair>,
}

/// Python's literals, each with its JSON form.
const LITERALS: [(&str, &str); 3] = [("True", "true"), ("False", "false"), ("None", "null")];

/// Returns a text that begins with JSON with all repairs that need no guess; `None` if there are none, or if one would be a
/// guess.
pub(super) fn repair(text: &str) -> Option<Repaired> {
    let mut repaired = Repaired { text: String::with_capacity(text.len()), repairs: Vec::new() };
    let (mut rest, mut open) = (text, 0_usize);
    while let Some(first) = rest.chars().next() {
        // Prose after the value stays as it is.
        match first {
            '{' | '[' => open += 1,
            '}' | ']' => open = open.saturating_sub(1),
            _ if open == 0 => {
                repaired.text.push_str(rest);
                break;
            }
            _ => {}
        }
        let taken = match first {
            '"' => repaired.string(rest)?,
            ',' => repaired.comma(rest),
            '/' => repaired.comment(rest),
            'T' | 'F' | 'N' => repaired.literal(rest),
            _ => 0,
        };
        let taken = match taken {
            0 => {
                repaired.text.push(first);
                first.len_utf8()
            }
            taken => taken,
        };
        rest = &rest[taken..];
    }
    (!repaired.repairs.is_empty()).then_some(repaired)
}

/// The repairs: each consumes what it recognises at the beginning of `rest` and returns its length in bytes, or 0.
impl Repaired {
    fn note(&mut self, repair: Repair) {
        if !self.repairs.contains(&repair) {
            self.repairs.push(repair);
        }
    }

    /// Escapes the control characters of a string; returns `None` where a repair would be a guess.
    fn string(&mut self, rest: &str) -> Option<usize> {
        let mut escaped = false;
        for (at, c) in rest.char_indices() {
            match c {
                '"' if at > 0 && !escaped => {
                    self.text.push('"');
                    return Some(at + 1);
                }
                // A backslash before a line break has no certain meaning.
                c if c < ' ' && escaped => return None,
                c if c < ' ' => {
                    self.note(Repair::ControlCharacters);
                    self.text.push_str(&format!("\\u{:04x}", u32::from(c)));
                }
                c => self.text.push(c),
            }
            escaped = c == '\\' && !escaped;
        }
        Some(rest.len())
    }

    fn comma(&mut self, rest: &str) -> usize {
        if !rest[1..].trim_start().starts_with(['}', ']']) {
            return 0;
        }
        self.note(Repair::TrailingCommas);
        1
    }

    fn comment(&mut self, rest: &str) -> usize {
        let len = match rest.get(..2) {
            Some("//") => rest.find('\n'),
            Some("/*") => rest.find("*/").map(|at| at + 2),
            _ => return 0,
        };
        self.note(Repair::Comments);
        len.unwrap_or(rest.len())
    }

    fn literal(&mut self, rest: &str) -> usize {
        let Some((python, json)) = LITERALS.iter().find(|(python, _)| rest.starts_with(python)) else {
            return 0;
        };
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        if rest[python.len()..].starts_with(is_word) || self.text.ends_with(is_word) {
            return 0;
        }
        self.note(Repair::PythonLiterals);
        self.text.push_str(json);
        python.len()
    }
}
