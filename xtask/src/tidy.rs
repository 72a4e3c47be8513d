//! Rules that no compiler knows.

mod files;
mod layers;
mod threats;
mod words;

pub(crate) use words::{BAD_OPENINGS, opens_badly, public_types};

use crate::shell::Done;

/// Checks every rule and prints every breach.
pub(crate) fn run() -> Done {
    let mut breaches = layers::check()?;
    breaches.extend(files::check()?);
    breaches.extend(threats::check()?);
    breaches.extend(words::check()?);
    breaches.iter().for_each(|breach| eprintln!("tidy: {breach}"));
    match breaches.len() {
        0 => {
            println!("tidy: in order");
            Ok(())
        }
        n => Err(format!("tidy: {n} breaches")),
    }
}
