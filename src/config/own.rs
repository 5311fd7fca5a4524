//! `own.*`: settings of dataflows that are no part of calve, which take them as text and read them here.
//!
//! They come from every layer, as all settings do. What may stand there only a binary knows, so a name that none of
//! its dataflows reads is found out when one of them is run ([`Settings::check_own`]).

use std::str::FromStr;
use std::time::Duration;

use super::names::nearest;
use super::settings::Settings;
use super::values::{self, Parsed};
use crate::{Error, Result};

/// What all names begin with.
pub(super) const PREFIX: &str = "own.";

/// One setting of a dataflow's own, set or not.
#[derive(Clone, Copy, Debug)]
pub struct Own<'a> {
    settings: &'a Settings,
    name: &'a str,
}

impl<'a> Own<'a> {
    /// As it is written; `None` if it is not set.
    pub fn text(&self) -> Option<&'a str> {
        self.settings.own.get(self.name).map(String::as_str)
    }

    /// As a duration (`500ms`, `30s`, `1h 30min`).
    pub fn duration(&self) -> Result<Option<Duration>> {
        self.parse(|text| values::duration(text, Duration::ZERO))
    }

    /// As a number, or whatever else is written as Rust writes it.
    pub fn number<T: FromStr>(&self) -> Result<Option<T>> {
        self.parse(|text| {
            let number = text.trim().parse();
            number.map_err(|_| format!("a value of type {}", std::any::type_name::<T>()))
        })
    }

    fn parse<T>(&self, parse: impl FnOnce(&str) -> Parsed<T>) -> Result<Option<T>> {
        let Some(text) = self.text() else {
            return Ok(None);
        };
        let key = format!("{PREFIX}{}", self.name);
        let wrong = |expected| {
            let error = Error::config(format!("{key} can't be {text:?}: expected {expected}"));
            match self.settings.layer(&key) {
                Some(place) => error.at(place),
                None => error,
            }
        };
        parse(text).map(Some).map_err(wrong)
    }
}

impl Settings {
    /// The setting `own.NAME` of a dataflow that is no part of calve.
    pub fn own<'a>(&'a self, name: &'a str) -> Own<'a> {
        Own {
            settings: self,
            name,
        }
    }

    /// Fails if something is set under `own.` that nobody reads; `read` are the names of all that is read.
    pub fn check_own(&self, read: &[&str]) -> Result<()> {
        let unread = |name: &&String| !read.contains(&name.as_str());
        let Some(name) = self.own.keys().find(unread) else {
            return Ok(());
        };
        let key = format!("{PREFIX}{name}");
        let error = Error::config("no dataflow of this program reads it");
        let names = read.iter().map(|name| (*name, *name));
        let advice = match (nearest(name, names), read) {
            (Some(near), _) => format!("did you mean `{PREFIX}{near}`?"),
            (None, []) => "take it out: they read none".to_owned(),
            (None, _) => format!("they read: {PREFIX}{}", read.join(&format!(", {PREFIX}"))),
        };
        Err(self.blame(&key, error).advice(advice))
    }
}

/// A name behind `own.`: lower case, as all settings are written.
pub(super) fn member(name: &str) -> Parsed<String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    match name.chars().all(fits) {
        true => Ok(name.to_owned()),
        false => Err("lower-case letters, digits, `-` and `.`".to_owned()),
    }
}
