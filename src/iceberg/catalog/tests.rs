use iceberg::NamespaceIdent;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::error::Kind;

fn options(kind: CatalogKind, uri: &str, warehouse: &str) -> CatalogOptions {
    CatalogOptions {
        kind,
        uri: uri.into(),
        name: "default".into(),
        warehouse: warehouse.into(),
        token: None,
        credential: None,
        oauth2_server_uri: None,
        scope: None,
        headers: BTreeMap::new(),
        properties: BTreeMap::new(),
        s3: S3Options::default(),
        create: true,
    }
}

async fn refused(options: CatalogOptions) -> Error {
    match open_catalog(&options).await {
        Ok(_) => panic!("{} was opened", options.uri),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_sqlite_catalog_that_is_only_read_is_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/catalog.db");
    let uri = format!("sqlite://{}", path.display());
    let error = refused(CatalogOptions {
        create: false,
        ..options(CatalogKind::Sql, &uri, "/w")
    })
    .await;
    assert_eq!(error.kind(), Kind::Config, "{error}");
    assert!(!dir.path().join("new").exists());
}

#[tokio::test]
async fn a_sqlite_catalog_is_made_with_its_folders_and_opened_again_under_both_spellings() {
    let dir = tempfile::tempdir().unwrap();
    let path = format!("{}/new #1/100%/catalog.db", dir.path().display());
    let namespace = NamespaceIdent::new("n".into());
    let one = open_catalog(&options(
        CatalogKind::Sql,
        &format!("sqlite://{path}"),
        "/w",
    ))
    .await
    .unwrap();
    one.create_namespace(&namespace, HashMap::new())
        .await
        .unwrap();
    assert!(Path::new(&path).is_file());

    let two = open_catalog(&options(
        CatalogKind::Sql,
        &format!("sqlite:///{path}"),
        "/w",
    ))
    .await
    .unwrap();
    assert!(two.namespace_exists(&namespace).await.unwrap());
}

#[tokio::test]
async fn a_relative_path_is_refused_with_advice() {
    let error = refused(options(CatalogKind::Sql, "sqlite://catalog.db", "/w")).await;
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.to_string().contains("sqlite:///absolute"), "{error}");

    let error = refused(options(CatalogKind::Sql, "sqlite:///x.db", "warehouse")).await;
    assert_eq!(error.kind(), Kind::Config);
    assert!(
        error.to_string().contains("warehouse: warehouse"),
        "{error}"
    );
}

#[tokio::test]
async fn a_uri_of_the_other_kind_is_refused_by_name() {
    let error = refused(options(CatalogKind::Sql, "http://localhost:1", "/w")).await;
    assert!(
        error.to_string().contains("catalog.type to rest"),
        "{error}"
    );
    let error = refused(options(CatalogKind::Rest, "sqlite:///x.db", "/w")).await;
    assert!(error.to_string().contains("catalog.type to sql"), "{error}");
}

#[test]
fn a_warehouse_becomes_a_location_that_every_reader_understands() {
    for (warehouse, expected) in [
        ("/data/w/", "file:///data/w"),
        ("file:///data/w", "file:///data/w"),
        ("file:/data/w", "file:///data/w"),
        ("s3://bucket/w/", "s3://bucket/w"),
        ("s3a://bucket", "s3a://bucket"),
    ] {
        assert_eq!(sql_warehouse(warehouse).unwrap(), expected);
    }
}

#[test]
fn a_uri_is_printed_without_its_secrets() {
    for (uri, expected) in [
        ("postgres://u:p@h:5/d?password=p", "postgres://***@h:5/d"),
        ("http://h:1/api", "http://h:1/api"),
        ("sqlite:///x.db", "sqlite:///x.db"),
    ] {
        assert_eq!(masked(uri), expected);
    }
}

#[tokio::test]
async fn a_catalog_that_is_down_is_named_and_its_password_is_not() {
    // Nothing listens on port 1.
    for (kind, uri) in [
        (CatalogKind::Rest, "http://127.0.0.1:1"),
        (CatalogKind::Sql, "postgres://user:hunter2@127.0.0.1:1/db"),
    ] {
        let error = refused(options(kind, uri, "/w")).await;
        let text = format!("{error} {error:?}");
        assert_eq!(error.kind(), Kind::External, "{text}");
        assert!(
            text.contains("127.0.0.1:1") && text.contains("refused"),
            "{text}"
        );
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn rest_settings_reach_the_library_under_its_names() {
    let mut options = options(CatalogKind::Rest, "http://h/", "name");
    options.credential = Some("id:secret".into());
    options.scope = Some("s".into());
    options.headers.insert("X-Tenant".into(), "t".into());
    options.s3.endpoint = Some("http://e".into());
    options.s3.path_style = true;
    let props = rest_props(&options, "http://h");
    for (key, value) in [
        ("uri", "http://h"),
        ("warehouse", "name"),
        ("credential", "id:secret"),
        ("scope", "s"),
        ("header.X-Tenant", "t"),
        ("s3.endpoint", "http://e"),
        ("s3.region", "us-east-1"),
        ("s3.path-style-access", "true"),
    ] {
        assert_eq!(props.get(key).map(String::as_str), Some(value), "{key}");
    }
    assert!(!props.contains_key("token") && !props.contains_key("s3.access-key-id"));
}

/// A REST catalog that issues numbered tokens and accepts only the newest one after the first
/// request: it answers 401 once, as a catalog does whose token has expired.
async fn expiring_catalog() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut issued = 0;
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 16_384];
            let length = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..length]).to_lowercase();
            let (status, body) = if request.contains("/oauth/tokens") {
                issued += 1;
                (
                    "200 OK",
                    format!(r#"{{"access_token":"t{issued}","token_type":"bearer"}}"#),
                )
            } else if request.contains("/v1/config") {
                ("200 OK", r#"{"defaults":{},"overrides":{}}"#.to_owned())
            } else if request.contains("bearer t1") {
                ("401 Unauthorized", r#"{"error":{"code":401}}"#.to_owned())
            } else {
                ("200 OK", r#"{"namespaces":[["n"]]}"#.to_owned())
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    uri
}

#[tokio::test]
async fn an_expired_token_is_renewed_and_the_question_asked_again() {
    let uri = expiring_catalog().await;
    let mut options = options(CatalogKind::Rest, &uri, "");
    options.credential = Some("id:secret".into());
    let catalog = open_catalog(&options).await.unwrap();
    assert_eq!(
        catalog.list_namespaces(None).await.unwrap(),
        [NamespaceIdent::new("n".into())]
    );
}

#[tokio::test]
async fn a_refused_token_is_reported_with_advice() {
    let uri = expiring_catalog().await;
    let mut options = options(CatalogKind::Rest, &uri, "");
    options.token = Some("t1".into());
    let error = refused(options).await;
    assert!(error.to_string().contains("token"), "{error}");
}
