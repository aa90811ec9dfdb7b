//! TLS to the database: used by default if the server has it, and verified if the URL asks for it.

use std::time::Instant;

use tollkeeper_engine::postgres::{Options, Postgres};
use tollkeeper_engine::{Engine, Error};
use tollkeeper_testkit::blocking::block_on;
use tollkeeper_testkit::postgres::{Cluster, Database, NO_CRASH, is_missing};

/// Makes a certificate for the address of the server.
const CERTIFICATE: &str = "openssl req -new -x509 -days 2 -nodes -subj /CN=ledger -addext subjectAltName=IP:127.0.0.1 \
                           -addext basicConstraints=critical,CA:FALSE -keyout server.key -out server.crt";

/// Makes a certificate without extensions, of version 1, as Citus makes one for itself.
const CERTIFICATE_OF_CITUS: &str = "openssl req -new -nodes -subj /CN=ledger -keyout server.key -out server.csr && \
                                    openssl x509 -req -days 2 -signkey server.key -in server.csr -out server.crt";

/// Gives the server a self-signed certificate.
fn encrypt(cluster: &Cluster, certificate: &str) {
    let make = format!("{certificate} && chmod 600 server.key");
    cluster.sql("postgres", &format!("COPY (SELECT 1) TO PROGRAM 'cat >&2 && {make}'"));
    cluster.sql("postgres", "ALTER SYSTEM SET ssl = on");
    cluster.sql("postgres", "SELECT pg_reload_conf()");
    let begun = Instant::now();
    while cluster.sql("postgres", "SHOW ssl").trim() != "on" {
        assert!(begun.elapsed().as_secs() < 30, "the server loads its certificate");
    }
}

/// Opens the database with a parameter of its address.
fn open(database: &Database, parameter: &str) -> Result<Postgres, Error> {
    let url = database.url();
    let separator = if url.contains('?') { '&' } else { '?' };
    block_on(Postgres::open(&format!("{url}{separator}{parameter}"), Options::default()))
}

#[test]
fn connections_are_encrypted_and_verified_as_the_url_says() {
    if is_missing() {
        return;
    }
    let cluster = Cluster::start(NO_CRASH);
    encrypt(&cluster, CERTIFICATE);
    let database = cluster.database();
    let open = |parameter: &str| open(&database, parameter);
    let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE application_name = 'tollkeeper' AND ssl";
    let connections = |engine: Postgres| {
        let count = database.sql(encrypted).trim().parse::<u32>().expect("a number");
        block_on(engine.close()).expect("a healthy engine");
        drop(engine);
        count
    };
    let root = cluster.path().join("data/server.crt");
    let known = format!("sslmode=verify-full&sslrootcert={}", root.display());
    assert!(connections(open("connect_timeout=5").expect("prefer")) > 0, "TLS is used if the server has it");
    assert!(connections(open("sslmode=require").expect("require")) > 0);
    assert_eq!(connections(open("sslmode=disable").expect("disable")), 0);
    assert!(connections(open(&known).expect("a known authority")) > 0);
    let stranger = open("sslmode=verify-full").expect_err("an unknown authority");
    assert!(stranger.to_string().contains("certificate"), "{stranger}");
}

#[test]
fn a_certificate_of_version_1_is_accepted_unless_it_is_to_be_verified() {
    if is_missing() {
        return;
    }
    let cluster = Cluster::start(NO_CRASH);
    encrypt(&cluster, CERTIFICATE_OF_CITUS);
    let database = cluster.database();
    let encrypted = open(&database, "sslmode=require").expect("any certificate is accepted");
    block_on(encrypted.close()).expect("a healthy engine");
    assert!(open(&database, "sslmode=verify-full").is_err(), "an unknown authority");
}
