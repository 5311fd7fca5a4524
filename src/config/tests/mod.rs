//! Tests of the settings, by claim.

mod agreement;
mod errors;
mod explain;
mod flink;
mod names;
mod pass_through;
mod places;
mod precedence;
mod secrets;
mod values;

use std::path::Path;

use tempfile::TempDir;

use super::{Layers, Settings, load};

/// Layers in a directory of their own.
struct Setup {
    directory: TempDir,
    layers: Layers,
}

impl Setup {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let layers = Layers {
            directory: Some(directory.path().to_owned()),
            ..Layers::default()
        };
        Self { directory, layers }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn file(mut self, text: &str) -> Self {
        let path = self.path().join("calve.toml");
        std::fs::write(&path, text).unwrap();
        self.layers.file = Some(path);
        self
    }

    fn dotenv(self, text: &str) -> Self {
        std::fs::write(self.path().join(".env"), text).unwrap();
        self
    }

    fn dotenv_local(self, text: &str) -> Self {
        std::fs::write(self.path().join(".env.local"), text).unwrap();
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        let pair = (name.to_owned(), value.to_owned());
        self.layers.environment.push(pair);
        self
    }

    fn flag(mut self, key: &str, value: &str) -> Self {
        self.layers.flags.push((key.to_owned(), value.to_owned()));
        self
    }

    fn load(&self) -> Settings {
        load(&self.layers).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The error, with the directory left out of file names.
    fn error(&self) -> String {
        let error = load(&self.layers).expect_err("this must not load");
        assert_eq!(error.kind(), crate::error::Kind::Config);
        error
            .to_string()
            .replace(&format!("{}/", self.path().display()), "")
    }
}

/// The value of a key as `calve config` shows it.
fn shown(settings: &Settings, key: &str) -> Option<String> {
    let all = settings.effective();
    let one = all.into_iter().find(|effective| effective.key == key);
    one.unwrap_or_else(|| panic!("no {key}")).value
}
