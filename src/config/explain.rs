//! All there is to say about one setting: `calve config --explain`.

use serde::Serialize;

use crate::{Error, Result};

use super::flink::{self, Fate, Rule};
use super::layers::{Layers, Place};
use super::names::{self, Target};
use super::read;
use super::settings::Settings;

/// One setting, from its meaning to the layer that decides about it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Explanation {
    /// Its key; of what only Flink has, Flink's.
    pub key: String,
    /// False of what only Flink has.
    pub is_setting: bool,
    /// What it is, line by line.
    pub meaning: Vec<String>,
    /// What a value can be; nothing if there is no such setting here.
    pub expects: Option<String>,
    /// The default, as TOML.
    pub default: Option<String>,
    /// An example, as TOML, of what has no default.
    pub example: Option<String>,
    /// The value in force, secrets masked.
    pub value: Option<String>,
    /// Where that value came from.
    pub layer: Option<Place>,
    /// All that the layers say of it, the strongest first.
    pub layers: Vec<Statement>,
    /// The variables that set it, the one that wins first.
    pub variables: Vec<String>,
    /// Its names in Flink, the current one first.
    pub flink: Vec<String>,
    /// What it means here that it does not mean in Flink.
    pub differs: Vec<String>,
    /// What is wrong with the settings, this one or others.
    #[serde(skip)]
    pub faults: Result<()>,
}

/// What one layer says of a setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Statement {
    /// Where.
    pub layer: Place,
    /// The value, secrets masked; empty if it leads back to the default.
    pub value: String,
    /// True of the one that counts.
    pub in_force: bool,
}

/// Explains the setting that `name` means (a key, one of Flink's, or a variable) under these layers. An unknown
/// name is an error that says the nearest one.
pub fn explain(name: &str, layers: &Layers) -> Result<Explanation> {
    let target = match names::by_variable(name) {
        Some(meaning) => meaning.map(|(target, _)| target),
        None => match (names::by_key(name), flink::rule(name)) {
            (Err(_), Some(rule)) => Ok(Target::Flink(rule, name.to_owned())),
            (target, _) => target,
        },
    };
    let target = target.map_err(|error| error.at("", name))?;
    let (settings, faults) = read(layers);
    let mut explanation = blank(target.name(), faults.into_result());
    explanation.value_and_layers(&settings);
    match &target {
        Target::Flink(rule, _) => explanation.foreign(rule),
        _ => explanation.setting(&target)?,
    }
    Ok(explanation)
}

fn blank(key: String, faults: Result<()>) -> Explanation {
    Explanation {
        key,
        is_setting: true,
        meaning: Vec::new(),
        expects: None,
        default: None,
        example: None,
        value: None,
        layer: None,
        layers: Vec::new(),
        variables: Vec::new(),
        flink: Vec::new(),
        differs: Vec::new(),
        faults,
    }
}

impl Explanation {
    fn value_and_layers(&mut self, settings: &Settings) {
        let sources = &settings.sources;
        if let Some((place, value)) = sources.in_force.get(&self.key) {
            (self.value, self.layer) = (Some(value.clone()), Some(place.clone()));
        }
        let said = sources.said.get(&self.key).map_or(&[][..], Vec::as_slice);
        let mut found = false;
        for (place, value) in said.iter().rev() {
            // The last of equals: a flag can be given twice.
            let in_force = !found && Some(place) == self.layer.as_ref();
            found |= in_force;
            self.layers.push(Statement {
                layer: place.clone(),
                value: value.clone(),
                in_force,
            });
        }
    }

    /// Of a setting of ours.
    fn setting(&mut self, target: &Target) -> Result<()> {
        let Some(words) = target.words() else {
            return Err(Error::internal(format!("`{}` is not documented", self.key)));
        };
        let is_meaning = |line: &&&str| !line.starts_with("Environment: ");
        let meaning = words.lines.iter().filter(is_meaning);
        self.meaning = meaning.map(|line| (*line).to_owned()).collect();
        // A parser says best itself what it expects: nothing takes a control character but what takes any text.
        let expected = target.set(&mut Settings::blank(), "\u{1}").err();
        self.expects = Some(expected.unwrap_or_else(|| "text".to_owned()));
        let value = Some(words.value.to_owned());
        match (words.default, target) {
            (true, _) => self.default = value,
            (false, Target::Key(_)) => self.example = value,
            (false, _) => {}
        }
        let variables = target.variables().into_iter();
        self.variables = variables
            .map(|(name, unit)| match unit {
                Some(unit) => format!("{name} (in {})", unit.name),
                None => name,
            })
            .collect();
        for (name, alias) in flink::names_of(&self.key) {
            self.flink.push(name.to_owned());
            let differs = alias.differs.map(str::to_owned);
            if let Some(differs) = differs.filter(|text| !self.differs.contains(text)) {
                self.differs.push(differs);
            }
        }
        Ok(())
    }

    /// Of a key that only Flink has.
    fn foreign(&mut self, rule: &Rule) {
        let (meaning, expects) = match &rule.fate {
            Fate::Unused { because } => (format!("It has no meaning here: {because}."), None),
            Fate::Only { values, because } => {
                let values = match values.is_empty() {
                    true => "not to be set".to_owned(),
                    false => values.join(" or "),
                };
                (format!("{because}."), Some(values))
            }
            Fate::Alias(alias) => (format!("It is {}.", alias.of), None),
        };
        self.is_setting = false;
        self.meaning = vec![meaning];
        self.expects = expects;
    }
}
