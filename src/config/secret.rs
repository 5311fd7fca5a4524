//! Values that must not be shown: whatever prints them prints `***`.
//!
//! Settings are logged, printed by `calve config`, quoted in errors and end up in bug reports. So
//! what is secret is decided by type, once, and not wherever something is printed.

use std::collections::BTreeMap;
use std::fmt;

/// What stands in place of a secret.
pub(super) const MASK: &str = "***";

/// A password, token or key: neither `Debug` nor `Display` shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes `text` into custody.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, to be handed to the client that needs it and to nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// An address that may carry a password: `Debug` and `Display` mask the password, not the rest.
#[derive(Clone, PartialEq, Eq)]
pub struct Uri(String);

impl Uri {
    /// Takes `text` into custody; it is not checked here.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The whole address, password included.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&mask_uri(&self.0), f)
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask_uri(&self.0))
    }
}

/// Properties for librdkafka by name; `Debug` masks those that are secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties(BTreeMap<String, String>);

impl Properties {
    /// The value of one property, secret or not.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All properties in the order of their names, secrets included.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn insert(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(
                self.iter()
                    .map(|(name, value)| (name, Secrecy::of_kafka(name).show(value))),
            )
            .finish()
    }
}

/// How much of a value may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrecy {
    /// All of it.
    Open,
    /// All of it but a password inside the address.
    Uri,
    /// Nothing.
    Secret,
}

impl Secrecy {
    /// The secrecy of a librdkafka property.
    ///
    /// Known by words rather than by a list of names: a new librdkafka brings new secrets, and one
    /// mask too many harms nobody. The remaining properties may be addresses, with a password.
    pub(super) fn of_kafka(property: &str) -> Self {
        const WORDS: [&str; 5] = [
            "password",
            "passphrase",
            "secret",
            "private.key.pem",
            "jaas",
        ];
        const NAMES: [&str; 2] = ["ssl.key.pem", "sasl.oauthbearer.config"];
        let name = property.to_ascii_lowercase();
        if WORDS.iter().any(|word| name.contains(word)) || NAMES.contains(&&*name) {
            Secrecy::Secret
        } else {
            Secrecy::Uri
        }
    }

    /// `value` as it may be shown.
    pub(super) fn show(self, value: &str) -> String {
        match self {
            Secrecy::Open => value.to_owned(),
            Secrecy::Uri => mask_uri(value),
            Secrecy::Secret => MASK.to_owned(),
        }
    }
}

/// `text` without the password it carries, be it in the user part or in the query.
///
/// It has to hold for malformed addresses too, since those are the ones that errors quote. So
/// everything up to the *last* `@` counts as user part: that masks too much of an address with an
/// `@` in its path, and never too little of a password with `@`, `/` or `?` in it.
pub(super) fn mask_uri(text: &str) -> String {
    let (scheme, rest) = match text.find("://") {
        Some(at) => text.split_at(at + "://".len()),
        None => ("", text),
    };
    let (user, rest) = match rest.rfind('@') {
        Some(at) => rest.split_at(at),
        None => ("", rest),
    };
    let user = match user.split_once(':') {
        Some((name, _)) => format!("{name}:{MASK}"),
        // A user part without a colon can be a token.
        None if !user.is_empty() => MASK.to_owned(),
        None => String::new(),
    };
    match rest.split_once('?') {
        Some((path, query)) => format!("{scheme}{user}{path}?{}", mask_query(query)),
        None => format!("{scheme}{user}{rest}"),
    }
}

fn mask_query(query: &str) -> String {
    const WORDS: [&str; 5] = ["pass", "secret", "token", "key", "credential"];
    let masked = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if WORDS.iter().any(|w| name.to_ascii_lowercase().contains(w)) => {
            format!("{name}={MASK}")
        }
        _ => pair.to_owned(),
    });
    masked.collect::<Vec<_>>().join("&")
}
