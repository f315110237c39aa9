//! No text of a file is shown with a secret in it, and what is none stays to be read.

use super::{apply, ranges};

fn shown(text: &str) -> String {
    let out = apply(text, &ranges(text));
    assert_eq!(out.len(), text.len(), "{text:?}");
    assert_eq!(out.chars().count(), text.chars().count(), "{text:?}");
    out
}

/// Every form hides `hunter2`, whatever stands around it.
#[test]
fn every_form_of_a_secret_is_hidden() {
    for text in [
        "environment:\n  DB_PASSWORD: hunter2\n",
        "environment:\n  DB_PASSWORD: \"hunter2\"\n  X: y\n",
        "environment:\n  \"DB_PASSWORD\": 'it''s hunter2'\n",
        "environment: { DB_PASSWORD: hunter2, X: y }\n",
        "environment: {\"DB_PASSWORD\":\"hunter2\"}\n",
        "environment:\n  - DB_PASSWORD=hunter2\n",
        "environment:\n  - \"DB_PASSWORD=a hunter2\"\n",
        "environment: [DB_PASSWORD=hunter2, X=y]\n",
        "environment:\n  DB_PASSWORD: |\n    a\n    hunter2\n  X: y\n",
        "environment:\n  DB_PASSWORD: >-\n\n    hunter2\n",
        "environment:\n  DB_PASSWORD:\n    hunter2\n",
        "environment:\n  DB_PASSWORD: a\n    hunter2\n",
        "environment:\n  DB_PASSWORD: \"a\n    hunter2\"\n",
        "environment:\n  DB_PASSWORD: &pw hunter2\n",
        "environment:\n  DB_PASSWORD: !!str hunter2\n",
        "x-pw: &pw hunter2\nservices: { a: { environment: { DB_PASSWORD: *pw } } }\n",
        "x: [ &pw hunter2 ]\nb:\n  DB_PASSWORD: *pw\n",
        "environment:\n  ? DB_PASSWORD\n  : hunter2\n",
        "environment:\n  DB_PASSWORD: ${DB_PASSWORD:-hunter2}\n",
        "environment:\n  DB_PASSWORD: abc$hunter2\n",
        "environment:\n  DB_PASSWORD: $hunter2\n",
        "environment:\n  DB_PASSWORD: ab${hunter2}\n",
        "environment:\n  dbPassword: hunter2\n",
        "environment:\n  spring.datasource.password: hunter2\n",
        "environment:\n  ADMIN_PASSWORD_2: hunter2\n",
        "environment:\n  JWT_SECRET: hunter2\n",
        "environment:\n  SOME_API_KEY: hunter2\n",
        "# DB_PASSWORD=hunter2\n",
        "command: [redis-server, --requirepass, hunter2]\n",
        "command: redis-server --requirepass hunter2 --port 1\n",
        "command:\n  - --password\n  - hunter2\n",
        "command: tool --db-password=hunter2 -v\n",
        "command: tool --api-key \"hunter2\"\n",
        "command: sh -c 'PASSWORD=hunter2 run'\n",
        "command: mysql -uroot -phunter2\n",
        "command: [\"mysqladmin\", \"-phunter2\", \"ping\"]\n",
        "command: redis-cli -a hunter2 ping\n",
        "command: curl -u me:hunter2 http://x\n",
        "X: postgres://me:hunter2@db/x\n",
        "X: postgres://me:${PW:-hunter2}@db/x\n",
        "X: http://h/?password=hunter2&x=y\n",
        "configs:\n  c:\n    content: |\n      password = hunter2\n",
        "configs:\n  c:\n    content: '{\"password\": \"hunter2\"}'\n",
        "x-landfall:\n  env:\n    DB_PASSWORD:\n      default: hunter2\n",
        "x-landfall:\n  env:\n    DB_PASSWORD: { required: true, default: hunter2 }\n",
        "x-landfall: { env: { DB_PASSWORD: { example: 'hunter2' } } }\n",
        "api_tokens:\n  tokens-token: [hunter2]\n",
        "X: $2y$10$hunter2\n",
        "X: $$2y$$10$$hunter2\n",
        "labels:\n  - a.basicauth.users=me:$$apr1$$x$$hunter2\n",
        "X: |\n  -----BEGIN RSA PRIVATE KEY-----\n  hunter2\n  -----END RSA PRIVATE KEY-----\n",
        "X: ghp_hunter2aB3dE5fG7hI9jK1lM2nO4pQ6rS8tU0\n",
        "DB_PASSWORD: hunter2",
        "  DB_PASSWORD: \"hunter2\n",
        "DB_PASSWORD: hünter2hunter2\r\n",
    ] {
        assert!(!shown(text).contains("hunter2"), "{text}\n{}", shown(text));
    }
}

#[test]
fn what_is_no_secret_stays() {
    for text in [
        "services:\n  web:\n    image: nginx:1.27\n    ports: [\"8080:80\"]\n",
        "environment:\n  DB_PASSWORD: ${DB_PASSWORD}\n  X: ${DB_PASSWORD:?set it}\n",
        "environment:\n  DB_PASSWORD: $DB_PASSWORD\n",
        "environment:\n  - DB_PASSWORD\n  - DB_PASSWORD_FILE=/run/secrets/pw\n",
        "secrets:\n  db_password:\n    file: ./pw.txt\n",
        "secrets: [db_password, api_key]\n",
        "secrets:\n  - source: db_password\n    target: pw\n",
        "x-landfall:\n  env:\n    DB_PASSWORD: { secret: true, required: true }\n",
        "image: x@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n",
        "X: https://example.com:8080/x@y\n",
        "X: postgres://me:${PW}@db/x\n",
        "environment:\n  MYSQL_ALLOW_EMPTY_PASSWORD: 'yes'\n  TOKEN_TTL: 3600\n",
        "command: [\"--verbose\", \"--port\", \"80\"]\n",
        "depends_on:\n  vault-token:\n    condition: service_started\n",
        "networks:\n  x: { ipam: { config: [{ subnet: 10.0.0.0/24 }] } }\n",
    ] {
        assert_eq!(shown(text), text);
    }
}

#[test]
fn any_text_is_taken() {
    for text in [
        "",
        ":",
        "DB_PASSWORD:",
        "DB_PASSWORD: '",
        "DB_PASSWORD: {",
        "PASSWORD=\n",
        "? PASSWORD\n",
        "--password",
        "--password\n- ",
        "a://:@",
        "é://é:é@é",
        "PASSWORD: *",
        "PASSWORD: &",
        "PASSWORD: &a *a",
        "$2y$",
        "é$2y$é",
    ] {
        shown(text);
    }
}
