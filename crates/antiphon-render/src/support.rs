//! The support of a persona: how many of its claims have evidence, the sentence that says so, and the places of citations.

use antiphon_pipeline::{Evidence, Match, Persona, Quote, SourcePlace, Unverified};

/// Numbers of claims: all, and those with evidence.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Support {
    pub(crate) claims: usize,
    pub(crate) supported: usize,
}

impl Support {
    /// Counts the claims of a persona.
    pub(crate) fn of(persona: &Persona) -> Self {
        Self { claims: persona.claims().count(), supported: persona.supported() }
    }

    /// Returns the sum of two counts.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self { claims: self.claims + other.claims, supported: self.supported + other.supported }
    }
}

/// The mark of a claim without evidence.
pub(crate) const NO_EVIDENCE: &str = "no evidence";

/// Returns a sentence for a persona of which some claims have no evidence; `None` if all have, or if there are none.
/// Claims that strict grounding removed are named where no other is left.
pub(crate) fn support_note(persona: &Persona) -> Option<String> {
    let removed = persona.unverified.iter().filter(|open| open.claim.is_some()).count();
    let Support { claims, supported } = Support::of(persona);
    match (claims, supported) {
        (0, _) if removed > 0 => {
            Some(format!("No claim is left: none of {removed} had evidence in a participant's words."))
        }
        (claims, supported) if claims == supported => None,
        (1, 0) => Some("The only claim has no evidence in a participant's words.".to_owned()),
        (claims, 0) => Some(format!("None of the {claims} claims has evidence in a participant's words.")),
        (claims, supported) => {
            Some(format!("{supported} of {claims} claims have evidence in a participant's words."))
        }
    }
}

/// The place of a citation, as pages and files show it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    speaker: &'a str,
    time: Option<&'a str>,
    is_unclear: bool,
    document: &'a str,
    line: u32,
    matched: Option<Match>,
}

impl<'a> Place<'a> {
    /// Returns the place of a quote.
    pub(crate) fn of_quote(quote: &'a Quote) -> Self {
        Self {
            speaker: &quote.speaker,
            time: quote.time.as_deref(),
            is_unclear: quote.speaker_unclear,
            document: &quote.document,
            line: quote.line,
            matched: Some(quote.matched),
        }
    }

    /// Returns the place of a claim's evidence.
    pub(crate) fn of_evidence(found: &'a Evidence) -> Self {
        Self {
            speaker: &found.speaker,
            time: found.time.as_deref(),
            is_unclear: found.speaker_unclear,
            document: &found.document,
            line: found.line,
            matched: Some(found.matched),
        }
    }

    /// Returns the place of the words of a citation that is not verified.
    fn of_unverified(place: &'a SourcePlace) -> Self {
        let SourcePlace { document, line, speaker, time, .. } = place;
        Self { speaker, time: time.as_deref(), is_unclear: false, document, line: *line, matched: None }
    }

    /// Returns the speaker and the time, with a remark if the speaker may be an interviewer: `P03, 12:41`. Empty if the file
    /// names no speaker.
    pub(crate) fn who(&self) -> String {
        let time = self.time.map(|time| format!(", {time}")).unwrap_or_default();
        let unclear = if self.is_unclear { " (speaker unclear)" } else { "" };
        if self.speaker.is_empty() { String::new() } else { format!("{}{time}{unclear}", self.speaker) }
    }

    /// Returns the document and the line, as compilers write them.
    pub(crate) fn source(&self) -> String {
        format!("{}:{}", self.document, self.line)
    }

    /// Returns the speaker and the source, separated by `between`.
    pub(crate) fn full(&self, between: &str) -> String {
        let who = self.who();
        if who.is_empty() { self.source() } else { format!("{who}{between}{}", self.source()) }
    }

    /// Returns the source, after the speaker if there is a time or a remark on the speaker.
    pub(crate) fn short(&self, between: &str) -> String {
        if self.time.is_some() || self.is_unclear { self.full(between) } else { self.source() }
    }

    /// Returns whether some words differ from the citation.
    pub(crate) fn is_fuzzy(&self) -> bool {
        self.matched == Some(Match::Fuzzy)
    }
}

/// Returns the reason why a citation is not verified, with the place of its words if they are somewhere.
pub(crate) fn reason(open: &Unverified) -> String {
    match &open.place {
        Some(place) => format!("{}: {}", open.reason, Place::of_unverified(place).full(", ")),
        None => open.reason.clone(),
    }
}

#[cfg(test)]
mod tests {
    use antiphon_pipeline::Persona;
    use serde_json::{Value, json};

    use super::{Place, Support, reason, support_note};

    /// Returns the sentence for a persona with `claims`, `supported` of which have evidence, and `removed` others.
    fn note(claims: usize, supported: usize, removed: usize) -> Option<String> {
        let goals: Vec<String> = (0..claims).map(|index| format!("claim {index}")).collect();
        let evidence = |claim: &String| json!({ "claim": claim, "document": "a.txt", "line": 1, "start": 0, "end": 1, "quote": "x", "match": "exact" });
        let open = |_| json!({ "field": "goals", "claim": "x", "quote": "x", "reason": "x" });
        let persona: Persona = serde_json::from_value(json!({
            "id": "1", "name": "Ada", "title": "", "demographics": {},
            "goals": goals, "pain_points": [], "behaviours": [], "motivations": [], "quotes": [],
            "evidence": goals.iter().take(supported).map(evidence).collect::<Vec<_>>(),
            "unverified": (0..removed).map(open).collect::<Vec<_>>(),
        }))
        .unwrap();
        support_note(&persona)
    }

    #[test]
    fn claims_without_evidence_are_named() {
        assert_eq!((note(0, 0, 0), note(2, 2, 0)), (None, None));
        assert_eq!(note(3, 0, 3).unwrap(), "None of the 3 claims has evidence in a participant's words.");
        assert_eq!(note(1, 0, 0).unwrap(), "The only claim has no evidence in a participant's words.");
        assert_eq!(note(3, 1, 0).unwrap(), "1 of 3 claims have evidence in a participant's words.");
        assert_eq!(
            note(0, 0, 4).unwrap(),
            "No claim is left: none of 4 had evidence in a participant's words."
        );
    }

    /// Returns a persona with these lists of claims and citations.
    fn persona(goals: &[&str], motivations: &[&str], evidence: Value, unverified: Value) -> Persona {
        serde_json::from_value(json!({
            "id": "1", "name": "Ada", "title": "", "demographics": {}, "goals": goals, "pain_points": [],
            "behaviours": [], "motivations": motivations, "quotes": [], "evidence": evidence, "unverified": unverified,
        }))
        .unwrap()
    }

    #[test]
    fn the_same_claim_in_two_fields_needs_evidence_in_each() {
        let mut found = json!({ "claim": "Sleep", "document": "a.txt", "line": 1, "start": 0, "end": 1, "quote": "x", "match": "exact" });
        let support = |found: &Value| {
            Support::of(&persona(&["Sleep"], &["Sleep"], json!([found]), json!([]))).supported
        };
        // Files of earlier versions do not say which of the two the evidence is for.
        assert_eq!(support(&found), 2);
        found["field"] = json!("goals");
        assert_eq!(support(&found), 1);
    }

    #[test]
    fn places_have_the_speaker_and_the_time() {
        let mut found = json!({ "claim": "Sleep", "document": "a.txt", "line": 3, "start": 0, "end": 1, "quote": "x", "speaker": "P03", "match": "fuzzy" });
        let place = |found: &Value| {
            let persona = persona(&["Sleep"], &[], json!([found]), json!([]));
            let place = Place::of_evidence(&persona.evidence[0]);
            (place.short(" · "), place.full(", "))
        };
        assert_eq!(place(&found), ("a.txt:3".to_owned(), "P03, a.txt:3".to_owned()));
        found["time"] = json!("12:41");
        assert_eq!(place(&found), ("P03, 12:41 · a.txt:3".to_owned(), "P03, 12:41, a.txt:3".to_owned()));
        found["speaker_unclear"] = json!(true);
        assert_eq!(place(&found).0, "P03, 12:41 (speaker unclear) · a.txt:3");
    }

    #[test]
    fn a_misattributed_citation_says_where_its_words_are() {
        let open = json!([{
            "field": "goals", "claim": "Sleep", "quote": "x", "missing": "misattributed", "reason": "misattributed",
            "place": { "document": "b.txt", "line": 7, "speaker": "P2", "time": "1:02:41" },
        }]);
        let persona = persona(&[], &[], json!([]), open);
        assert_eq!(reason(&persona.unverified[0]), "misattributed: P2, 1:02:41, b.txt:7");
    }
}
