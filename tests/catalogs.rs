//! How calve proves who it is to a REST catalog, and what it asks of one. A proxy that checks stands before
//! the catalog, which itself lets everyone in.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{
    Action, Catalog, Pipeline, Produced, Producer, Proxy, Request, Topic, Warehouse,
};

fn small(hint: &str) -> (Topic, Produced, Pipeline) {
    let topic = Topic::create(hint, 2);
    let produced = Producer::new(&topic).samples(500).finish();
    let pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    (topic, produced, pipeline)
}

/// Lets in only requests whose header has this value.
fn gate(upstream: &str, header: &'static str, value: &'static str) -> Proxy {
    Proxy::start(upstream, move |request: &Request| {
        if request.header(header) == Some(value) {
            Action::Pass
        } else {
            let error =
                r#"{"error":{"message":"not you","type":"NotAuthorizedException","code":401}}"#;
            Action::Answer(401, error.to_owned())
        }
    })
}

#[test]
fn a_bearer_token_opens_the_catalog() {
    let (_topic, produced, mut pipeline) = small("bearer");
    let proxy = gate(&pipeline.rest, "authorization", "Bearer open-sesame");
    pipeline.rest = proxy.url();
    let refused = pipeline
        .run()
        .bounded()
        .env("CALVE_CATALOG_TOKEN", "wrong")
        .run();
    assert!(matches!(refused.code, Some(2 | 4)), "{refused:?}");
    let refused = refused.expect_output(&["catalog"]);
    assert!(
        !refused.output().contains("wrong"),
        "a secret in the log:\n{}",
        refused.output()
    );
    let run = pipeline
        .run()
        .bounded()
        .env("CALVE_CATALOG_TOKEN", "open-sesame");
    let ended = run.run().expect_code(0);
    assert!(
        !ended.output().contains("open-sesame"),
        "a secret in the log"
    );
    pipeline.assert_exactly(&produced);
}

#[test]
fn oauth2_client_credentials_are_exchanged_for_a_token() {
    let (_topic, produced, mut pipeline) = small("oauth");
    let proxy = Proxy::start(&pipeline.rest, |request| {
        let issue = r#"{"access_token":"issued","token_type":"bearer","expires_in":3600,"issued_token_type":"urn:ietf:params:oauth:token-type:access_token"}"#;
        let form = [
            "grant_type=client_credentials",
            "client_id=calve",
            "client_secret=hush",
        ];
        match (request.path.as_str(), request.header("authorization")) {
            ("/v1/oauth/tokens", _) if form.iter().all(|f| request.body_has(f)) => {
                Action::Answer(200, issue.to_owned())
            }
            (path, Some("Bearer issued")) if path != "/v1/oauth/tokens" => Action::Pass,
            _ => Action::Answer(401, r#"{"error":"invalid_client"}"#.to_owned()),
        }
    });
    pipeline.rest = proxy.url();
    let refused = pipeline
        .run()
        .bounded()
        .env("CALVE_CATALOG_CREDENTIAL", "calve:wrong")
        .run();
    assert!(matches!(refused.code, Some(2 | 4)), "{refused:?}");
    let run = pipeline.run().bounded();
    run.env("CALVE_CATALOG_CREDENTIAL", "calve:hush")
        .run()
        .expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn headers_of_ones_own_reach_the_catalog() {
    let (_topic, produced, mut pipeline) = small("headers");
    let proxy = gate(&pipeline.rest, "x-tenant", "health");
    pipeline.rest = proxy.url();
    let run = pipeline
        .run()
        .bounded()
        .env("CALVE_CATALOG_HEADER_X_TENANT", "health");
    run.run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn namespaces_may_be_nested() {
    let (_topic, produced, mut pipeline) = small("nested");
    pipeline.database = format!("{}.inner", pipeline.database);
    pipeline.run().bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn a_slow_catalog_is_waited_for() {
    let (_topic, produced, mut pipeline) = small("slow");
    let proxy = Proxy::start(&pipeline.rest, |request| {
        if request.is_commit() {
            Action::Delay(std::time::Duration::from_secs(3))
        } else {
            Action::Pass
        }
    });
    pipeline.rest = proxy.url();
    pipeline.run().workers(6).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn credentials_may_come_from_the_usual_chain_of_aws() {
    let (_topic, produced, pipeline) = small("chain");
    let services = crate::support::Services::get();
    let run = pipeline.run().bounded();
    let run = run
        .without_env("S3_ACCESS_KEY")
        .without_env("S3_SECRET_KEY");
    let run = run
        .env("AWS_ACCESS_KEY_ID", &services.s3_access_key)
        .env("AWS_SECRET_ACCESS_KEY", &services.s3_secret_key)
        .env("AWS_REGION", "us-east-1");
    run.run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn an_idle_pipeline_leaves_the_catalog_alone() {
    let (topic, produced, mut pipeline) = small("idle");
    static COMMITS: AtomicUsize = AtomicUsize::new(0);
    let proxy = Proxy::start(&pipeline.rest, |request| {
        if request.is_commit() {
            COMMITS.fetch_add(1, Ordering::Relaxed);
        }
        Action::Pass
    });
    pipeline.rest = proxy.url();
    let run = pipeline.run().workers(6);
    let running = run.env("FLINK_CHECKPOINT_INTERVAL_MS", "200").start();
    pipeline.wait_committed(&topic, 500);
    let commits = COMMITS.load(Ordering::Relaxed);
    std::thread::sleep(std::time::Duration::from_secs(3));
    // Fifteen empty epochs have gone by, and none made a snapshot.
    assert_eq!(COMMITS.load(Ordering::Relaxed), commits);
    running.drain();
    pipeline.assert_exactly(&produced);
}
