//! The files of `deploy/`: whoever copies them has settings that calve takes, and a supervisor that does what
//! `docs/operations.md` says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use calve::error::{Error, Kind};
use serde_json::{Value, json};

use crate::support::{Calve, deployed, run_script};

/// The longest drain that ends by itself: see "Stopping" in `docs/operations.md`.
const LONGEST_DRAIN_S: u64 = 67;

/// The lines `name=value` of a file, in order.
fn pairs(path: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(path).expect("a file of pairs");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// What the unit says.
fn unit() -> Vec<(String, String)> {
    pairs(&deployed("systemd/calve@.service"))
}

#[track_caller]
fn said(unit: &[(String, String)], name: &str) -> String {
    let found = unit.iter().find(|(known, _)| known == name);
    found.unwrap_or_else(|| panic!("no {name}")).1.clone()
}

/// What `calve config` makes of a file and these variables: each key with the layer that said it.
#[track_caller]
fn settings(
    file: &Path,
    variables: &BTreeMap<String, String>,
) -> BTreeMap<String, (String, String)> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = file.to_string_lossy().into_owned();
    let calve = Calve::new(&["config", "--json", "--config", &file], folder.path());
    let calve = variables
        .iter()
        .fold(calve, |calve, (name, value)| calve.env(name, value));
    let output = calve.run().expect_code(0).stdout;
    let shown: Value = serde_json::from_str(&output).expect("JSON");
    let settings = shown["settings"].as_array().expect("a list of settings");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entry = |entry: &Value| {
        (
            text(&entry["key"]),
            (text(&entry["value"]), text(&entry["layer"])),
        )
    };
    settings.iter().map(entry).collect()
}

#[test]
fn systemd_takes_the_unit_as_it_is() {
    let found = Command::new("systemd-analyze").arg("--version").output();
    if !found.is_ok_and(|output| output.status.success()) {
        eprintln!("no systemd-analyze here: the unit is not verified");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let verified = |text: &str| {
        let path = folder.path().join("calve@samples.service");
        fs::write(&path, text).expect("written");
        let output = Command::new("systemd-analyze")
            .arg("verify")
            .arg(&path)
            .output();
        let output = output.expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // It also looks at the units that this machine has.
        let of_ours = said.lines().filter(|line| line.contains("calve@"));
        let of_ours: Vec<_> = of_ours.map(str::to_owned).collect();
        (output.status.success() && of_ours.is_empty(), said)
    };
    let text = fs::read_to_string(deployed("systemd/calve@.service")).expect("the unit");
    // It must be there: for this test it is where it was built.
    let text = text.replace("/usr/local/bin/calve", env!("CARGO_BIN_EXE_calve"));
    let (fine, said) = verified(&text);
    assert!(fine, "{said}");
    let (fine, said) = verified(&text.replace("Restart=", "Restarts="));
    assert!(!fine, "a wrong name is not seen: {said}");
}

#[test]
fn the_unit_starts_again_what_may_pass_and_nothing_else() {
    let unit = unit();
    assert_eq!(said(&unit, "Restart"), "on-failure");
    let never: BTreeSet<u8> = said(&unit, "RestartPreventExitStatus")
        .split(' ')
        .map(|code| code.parse().expect("a code"))
        .collect();
    // What a run can end with.
    let ends = Kind::ALL
        .into_iter()
        .filter(|kind| *kind != Kind::Unverified);
    let permanent = ends.filter(|kind| is_permanent(*kind));
    assert_eq!(never, permanent.map(Kind::exit_code).collect());
    let patience: u64 = said(&unit, "TimeoutStopSec").parse().expect("seconds");
    assert!(patience > LONGEST_DRAIN_S, "{patience} s");
}

fn is_permanent(kind: Kind) -> bool {
    let error = match kind {
        Kind::Config => Error::config(""),
        Kind::Data => Error::data(""),
        Kind::External => Error::external(""),
        Kind::Fenced => Error::fenced(""),
        Kind::Diverged => Error::diverged(""),
        Kind::Unverified => Error::unverified(""),
        Kind::Internal => Error::internal(""),
    };
    error.is_permanent()
}

#[test]
fn the_settings_beside_the_unit_are_settings() {
    let mut variables = BTreeMap::from_iter(pairs(&deployed("systemd/samples.env")));
    let unit = unit();
    let (name, value) = said(&unit, "Environment")
        .split_once('=')
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .expect("a variable");
    variables.insert(name, value);
    let shown = settings(&deployed("systemd/samples.toml"), &variables);
    assert_eq!(shown["pipeline.name"].0, "samples");
    assert_eq!(shown["log.format"].0, "json");
    for (key, variable) in [
        ("s3.secret-key", "S3_SECRET_KEY"),
        ("catalog.token", "CALVE_CATALOG_TOKEN"),
    ] {
        let (value, layer) = &shown[key];
        assert!(layer.contains(variable), "{key} comes from {layer}");
        assert_ne!(value, &variables[variable], "{key} is not masked");
    }
}

/// The documents of a manifest, by their kind.
fn manifests(file: &str) -> BTreeMap<String, Value> {
    let path = deployed("kubernetes").join(file);
    let documents: Vec<Value> = run_script("yaml_documents.py", &json!({ "path": path }));
    let kind = |document: &Value| document["kind"].as_str().unwrap_or_default().to_owned();
    documents
        .into_iter()
        .map(|document| (kind(&document), document))
        .collect()
}

#[test]
fn the_manifests_hold_what_operations_md_promises() {
    let manifests = manifests("calve.yaml");
    let kinds: Vec<_> = manifests.keys().map(String::as_str).collect();
    assert_eq!(kinds, ["ConfigMap", "Deployment", "Secret", "Service"]);
    let spec = &manifests["Deployment"]["spec"];
    assert_eq!(spec["replicas"], 1);
    assert_eq!(spec["strategy"]["type"], "Recreate");
    let labels = &spec["template"]["metadata"]["labels"];
    assert_eq!(labels, &spec["selector"]["matchLabels"]);
    assert_eq!(labels, &manifests["Service"]["spec"]["selector"]);
    let pod = &spec["template"]["spec"];
    let patience = pod["terminationGracePeriodSeconds"]
        .as_u64()
        .expect("seconds");
    assert!(patience > LONGEST_DRAIN_S, "{patience} s");
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);

    // The settings of the ConfigMap, as the container sees them.
    let container = &pod["containers"][0];
    let folder = tempfile::tempdir().expect("a folder");
    let files = manifests["ConfigMap"]["data"].as_object().expect("files");
    for (name, text) in files {
        fs::write(folder.path().join(name), text.as_str().expect("text")).expect("written");
    }
    let arguments: Vec<_> = container["args"]
        .as_array()
        .expect("arguments")
        .iter()
        .collect();
    assert_eq!(arguments, ["run", "--config", "/etc/calve/calve.toml"]);
    let secrets = manifests["Secret"]["stringData"]
        .as_object()
        .expect("secrets");
    let secrets: BTreeMap<_, _> = secrets
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().expect("text").to_owned()))
        .collect();
    let shown = settings(&folder.path().join("calve.toml"), &secrets);
    for (key, variable) in [
        ("s3.secret-key", "S3_SECRET_KEY"),
        ("rest.token", "CALVE_REST_TOKEN"),
    ] {
        assert!(shown[key].1.contains(variable), "{key}: {:?}", shown[key]);
    }
    // The kubelet asks from outside, at the port that calve opens.
    assert_eq!(shown["rest.bind-address"].0, "0.0.0.0");
    let port = &container["ports"][0];
    assert_eq!(port["containerPort"].to_string(), shown["rest.port"].0);
    for (probe, path) in [
        ("startupProbe", "/healthz"),
        ("livenessProbe", "/healthz"),
        ("readinessProbe", "/readyz"),
    ] {
        assert_eq!(container[probe]["httpGet"]["path"], path);
        assert_eq!(container[probe]["httpGet"]["port"], port["name"]);
    }
    // Every volume that is mounted is there.
    let names = |list: &Value| -> BTreeSet<String> {
        let list = list.as_array().expect("a list").iter();
        list.map(|entry| entry["name"].to_string()).collect()
    };
    assert_eq!(names(&container["volumeMounts"]), names(&pod["volumes"]));
    let policy = &self::manifests("network-policy.yaml")["NetworkPolicy"]["spec"];
    assert_eq!(labels, &policy["podSelector"]["matchLabels"]);
}
