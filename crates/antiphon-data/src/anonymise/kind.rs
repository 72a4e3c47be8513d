//! The kinds of personal data, and the invented value of each that replaces it.

/// A kind of personal data (PII).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A person's name.
    Name,
    /// An e-mail address.
    Email,
    /// The name of an account.
    Account,
    /// A telephone number.
    Phone,
    /// The number of a payment card.
    Card,
    /// A postal address.
    Address,
}

impl Kind {
    /// Returns the name of the kind in reports and substitutes.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Email => "email",
            Self::Account => "account",
            Self::Phone => "phone",
            Self::Card => "card",
            Self::Address => "address",
        }
    }

    /// Returns the invented value for the `number`th original of this kind, from 1. Each kind has another form, so
    /// that a reader of the result still sees what was there.
    pub(super) fn invented(self, number: usize) -> String {
        match self {
            Self::Name => format!("Person {number}"),
            Self::Email => format!("person{number}@mail.example"),
            Self::Account => format!("@person{number}"),
            // Ofcom reserves these numbers for drama: no one has them.
            Self::Phone if number < 1_000 => format!("01632 960{number:03}"),
            Self::Phone => format!("01632 960{:03} x{}", number % 1_000, number / 1_000),
            // No card begins with a zero.
            Self::Card => format!("0000 0000 0000 {number:04}"),
            Self::Address => format!("{number} Example Street"),
        }
    }
}
