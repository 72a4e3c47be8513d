//! A map by labels, of which a text has few.

use std::collections::HashMap;

/// The most labels that are compared one by one.
const FEW: usize = 8;

/// A map by labels, in the order of their first lines.
///
/// Most texts have a few labels in thousands of lines, so that a look-up compares the addresses of some before the letters of
/// any; from [`FEW`] on it is that of a hash map.
#[derive(Debug)]
pub(crate) struct LabelMap<'a, V> {
    entries: Vec<(&'a str, V)>,
    /// The places of the labels, once there are many.
    places: HashMap<&'a str, usize>,
}

impl<V> Default for LabelMap<'_, V> {
    fn default() -> Self {
        Self { entries: Vec::new(), places: HashMap::new() }
    }
}

impl<'a, V> LabelMap<'a, V> {
    /// Returns the place of a label.
    fn place(&self, label: &str) -> Option<usize> {
        if self.entries.len() > FEW {
            return self.places.get(label).copied();
        }
        self.entries.iter().position(|(known, _)| std::ptr::eq(*known, label) || *known == label)
    }

    /// Returns the value of a label.
    pub(crate) fn get(&self, label: &str) -> Option<&V> {
        self.place(label).map(|place| &self.entries[place].1)
    }

    /// Returns the value of a label, which can be changed.
    pub(crate) fn get_mut(&mut self, label: &str) -> Option<&mut V> {
        self.place(label).map(|place| &mut self.entries[place].1)
    }

    /// Returns the value of a label; that of an earlier one is kept.
    pub(crate) fn get_or_insert_with(&mut self, label: &'a str, make: impl FnOnce() -> V) -> &mut V {
        let place = self.place(label).unwrap_or_else(|| {
            self.entries.push((label, make()));
            let places = self.entries.iter().enumerate().skip(self.places.len());
            if self.entries.len() > FEW {
                self.places.extend(places.map(|(place, (label, _))| (*label, place)));
            }
            self.entries.len() - 1
        });
        &mut self.entries[place].1
    }

    /// Returns the labels and their values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'a str, &V)> {
        self.entries.iter().map(|(label, value)| (*label, value))
    }

    /// Returns the labels and their values, which can be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&'a str, &mut V)> {
        self.entries.iter_mut().map(|(label, value)| (*label, value))
    }

    /// Returns the labels.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.entries.iter().map(|(label, _)| *label)
    }

    /// Returns the values.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.iter().map(|(_, value)| value)
    }
}

impl<'a, V: Default> LabelMap<'a, V> {
    /// Returns the value of a label, a default one if it is new.
    pub(crate) fn get_or_default(&mut self, label: &'a str) -> &mut V {
        self.get_or_insert_with(label, V::default)
    }
}

#[cfg(test)]
mod tests {
    use super::LabelMap;

    #[test]
    fn labels_keep_their_values_however_many_there_are() {
        let labels: Vec<String> = (0..40).map(|number| format!("P{number}")).collect();
        let mut counts: LabelMap<'_, usize> = LabelMap::default();
        for round in 0..3 {
            for (at, label) in labels.iter().enumerate() {
                let same = label.clone();
                assert_eq!(counts.get(&same).copied(), (round > 0).then_some(at + round), "{label}");
                let count = counts.get_or_insert_with(label, || at);
                *count += 1;
            }
        }
        assert!(counts.keys().eq(labels.iter().map(String::as_str)), "{counts:?}");
        assert!(counts.get("P40").is_none() && counts.get_mut("P40").is_none());
    }
}
