//! The support of a persona: how many of its claims have evidence, and the sentence that says so.

use antiphon_pipeline::Persona;

/// Numbers of claims: all, and those with evidence.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Support {
    pub(crate) claims: usize,
    pub(crate) supported: usize,
}

impl Support {
    /// Counts the claims of a persona.
    pub(crate) fn of(persona: &Persona) -> Self {
        let supported = persona.claims().filter(|claim| persona.has_evidence(claim)).count();
        Self { claims: persona.claims().count(), supported }
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

#[cfg(test)]
mod tests {
    use antiphon_pipeline::Persona;
    use serde_json::json;

    use super::support_note;

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
}
