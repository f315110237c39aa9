//! Sites of files, through the proxy.

use crate::harness::{Running, named, start, table, talk};
use http::StatusCode;
use landfall_model::filter::{Answer, Files, Filters};
use landfall_model::route::{Folder, RouteTable, folder_key};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// A proxy that serves `current` at `/`, with what `files` changes.
async fn serve(current: &Path, earlier: &[&Path], change: impl FnOnce(&mut RouteTable, &mut Filters, &mut Files)) -> Running {
    let proxy = start();
    let mut table = table(1, &[("/", "shop/web", "127.0.0.1:1".parse().unwrap())]);
    let mut files = Files { root: "/html".parse().unwrap(), sha256: None, spa: None, immutable: Vec::new() };
    let mut filters = Filters::default();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let folder = Folder { current: text(current), earlier: earlier.iter().map(|path| text(path)).collect() };
    let key = folder_key(&table.sites[0].routes[0].upstream, &files.root);
    table.folders.insert(key, folder);
    change(&mut table, &mut filters, &mut files);
    filters.answer = Some(Answer::Files(files));
    table.sites[0].routes[0].filters = filters;
    proxy.swap(&table).await;
    proxy
}

/// A GET with more headers.
async fn get(proxy: &Running, path: &str, more: &str) -> (u16, String, String) {
    ask(proxy, "GET", path, more).await
}

async fn ask(proxy: &Running, method: &str, path: &str, more: &str) -> (u16, String, String) {
    let text = talk(proxy.http, &format!("{method} {path} HTTP/1.1\r\nHost: shop.example\r\n{more}Connection: close\r\n\r\n")).await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), format!("{head}\r\n"), body.to_owned())
}

fn value<'a>(head: &'a str, name: &str) -> &'a str {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default()
}

fn site() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &[u8]| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("index.html", b"<p>home");
    write("docs/index.html", b"<p>docs");
    write("a b.txt", b"0123456789");
    write("assets/main.8d3db5e3.js", b"let js = 1;");
    write("empty.css", b"");
    write(".env", b"SECRET");
    write(".well-known/security.txt", b"Contact: x");
    dir
}

#[tokio::test]
async fn a_site_is_served_with_its_types_and_for_as_long_as_it_is_good() {
    let site = site();
    let proxy = serve(site.path(), &[], |_, _, _| ()).await;
    let (status, head, body) = get(&proxy, "/?x=y", "").await;
    assert_eq!((status, body.as_str()), (200, "<p>home"), "{head}");
    assert!(head.contains("content-type: text/html; charset=utf-8\r\n") && head.contains("cache-control: no-cache\r\n"), "{head}");
    assert!(head.contains("accept-ranges: bytes\r\n") && head.contains("x-content-type-options: nosniff\r\n"), "{head}");
    let (status, head, body) = get(&proxy, "/assets/main.8d3db5e3.js", "").await;
    assert_eq!((status, body.as_str()), (200, "let js = 1;"));
    assert!(head.contains("cache-control: public, max-age=31536000, immutable\r\n"), "{head}");
    assert_eq!(get(&proxy, "/a%20b.txt", "").await.2, "0123456789");
    assert_eq!(get(&proxy, "/.well-known/security.txt", "").await.0, 200);
    let (status, head, body) = get(&proxy, "/empty.css", "").await;
    assert_eq!((status, value(&head, "content-length"), body.as_str()), (200, "0", ""));
    let (status, head, _) = get(&proxy, "/docs?q=1", "").await;
    let location = format!("http://shop.example:{}/docs/?q=1", proxy.http.port());
    assert_eq!((status, value(&head, "location")), (301, location.as_str()));
    assert_eq!(get(&proxy, "/docs/", "").await.2, "<p>docs");
    assert_eq!(get(&proxy, "/assets/", "").await.0, 404, "no list of files");
    assert_eq!(get(&proxy, "/nothing", "Accept: text/html\r\n").await.0, 404);
    let (status, head, body) = ask(&proxy, "HEAD", "/a%20b.txt", "").await;
    assert_eq!((status, value(&head, "content-length"), body.as_str()), (200, "10", ""));
    let (status, head, _) = ask(&proxy, "POST", "/", "Content-Length: 0\r\n").await;
    assert_eq!((status, value(&head, "allow")), (405, "GET, HEAD"));
}

#[tokio::test]
async fn nothing_outside_or_hidden_is_served() {
    let (site, outside) = (site(), tempfile::tempdir().unwrap());
    fs::write(outside.path().join("secret"), "SECRET").unwrap();
    symlink(outside.path().join("secret"), site.path().join("link.txt")).unwrap();
    symlink(outside.path(), site.path().join("dir")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, site.path().join("pipe"), rustix::fs::Mode::RUSR).unwrap();
    let proxy = serve(site.path(), &[], |_, _, files| files.spa = None).await;
    for path in ["/.env", "/link.txt", "/dir/secret", "/pipe", "/docs%2findex.html", "/%2eenv", "/index.html/", "/index.html/x", "/a%00"] {
        let (status, head, body) = get(&proxy, path, "").await;
        assert!(matches!(status, 400 | 404) && !body.contains("SECRET"), "{path}: {head}");
    }
    for path in ["/../secret", "/docs/../../secret", "/%2e%2e/secret", "/..%2fsecret", "/docs/..%5csecret"] {
        assert_eq!(get(&proxy, path, "").await.0, 400, "{path}");
    }
    for path in ["//index.html", "/docs//index.html"] {
        assert_eq!(get(&proxy, path, "").await.0, 200, "{path}: slashes are merged");
    }
}

#[tokio::test]
async fn who_has_a_file_does_not_get_it_again_and_who_wants_a_part_gets_it() {
    let site = site();
    let proxy = serve(site.path(), &[], |_, _, _| ()).await;
    let (_, head, _) = get(&proxy, "/a%20b.txt", "").await;
    let (tag, date) = (value(&head, "etag").to_owned(), value(&head, "last-modified").to_owned());
    for has in [format!("If-None-Match: {tag}\r\n"), format!("If-None-Match: \"x\", W/{tag}\r\n"), format!("If-Modified-Since: {date}\r\n")]
    {
        let (status, head, body) = get(&proxy, "/a%20b.txt", &has).await;
        assert_eq!((status, body.as_str(), value(&head, "etag")), (304, "", tag.as_str()), "{has}{head}");
        assert!(!head.contains("\r\ncontent-type:"), "{head}");
    }
    for (asked, status, range, body) in [
        ("bytes=2-4", 206, "bytes 2-4/10", "234"),
        ("bytes=-3", 206, "bytes 7-9/10", "789"),
        ("bytes=10-", 416, "bytes */10", ""),
        ("bytes=0-1,5-6", 200, "", "0123456789"),
    ] {
        let (got, head, text) = get(&proxy, "/a%20b.txt", &format!("Range: {asked}\r\n")).await;
        assert_eq!((got, value(&head, "content-range"), text.as_str()), (status, range, body), "{asked}");
    }
    assert_eq!(get(&proxy, "/a%20b.txt", &format!("Range: bytes=2-4\r\nIf-Range: {tag}\r\n")).await.0, 206);
    assert_eq!(get(&proxy, "/a%20b.txt", "Range: bytes=2-4\r\nIf-Range: \"old\"\r\n").await.0, 200);
}

#[tokio::test]
async fn an_app_in_the_browser_knows_its_own_addresses() {
    let site = site();
    let proxy = serve(site.path(), &[], |_, _, files| files.spa = Some("/index.html".parse().unwrap())).await;
    for (path, accept) in [("/orders/7", "text/html,*/*;q=0.8"), ("/orders/7", "*/*"), ("/users/john.doe", "*/*"), ("/old.js", "text/html")]
    {
        let (status, _, body) = get(&proxy, path, &format!("Accept: {accept}\r\n")).await;
        assert_eq!((status, body.as_str()), (200, "<p>home"), "{path} {accept}");
    }
    let (status, _, body) = get(&proxy, "/assets/gone.js", "Accept: */*\r\n").await;
    assert!(status == 404 && !body.contains("home"), "a page in a script's place would be taken for a broken script: {body}");
}

#[tokio::test]
async fn open_pages_go_on_loading_what_they_were_made_with() {
    let (old, new) = (site(), tempfile::tempdir().unwrap());
    fs::write(new.path().join("index.html"), "<p>new").unwrap();
    fs::write(old.path().join("removed.html"), "<p>old page").unwrap();
    let proxy = serve(new.path(), &[Path::new("/nowhere"), old.path()], |_, _, _| ()).await;
    assert_eq!(get(&proxy, "/", "").await.2, "<p>new");
    assert_eq!(get(&proxy, "/assets/main.8d3db5e3.js", "").await.2, "let js = 1;");
    assert_eq!(get(&proxy, "/removed.html", "").await.0, 404, "a page that was taken away is gone");
}

#[tokio::test]
async fn files_are_sent_small_where_that_is_possible() {
    let site = site();
    let text = "a line of text that repeats itself\n".repeat(4000);
    fs::write(site.path().join("big.txt"), &text).unwrap();
    fs::write(site.path().join("assets/main.8d3db5e3.js.br"), "BR").unwrap();
    fs::write(site.path().join("assets/main.8d3db5e3.js.gz"), "GZ").unwrap();
    let proxy = serve(site.path(), &[], |_, _, _| ()).await;
    let path = "/assets/main.8d3db5e3.js";
    for (accept, encoding, body) in
        [("gzip, br", "br", "BR"), ("gzip", "gzip", "GZ"), ("zstd", "", "let js = 1;"), ("br;q=0.1, gzip;q=0.9", "gzip", "GZ")]
    {
        let (status, head, text) = get(&proxy, path, &format!("Accept-Encoding: {accept}\r\n")).await;
        assert_eq!((status, value(&head, "content-encoding"), text.as_str()), (200, encoding, body), "{accept}: {head}");
        assert!(head.contains("vary: accept-encoding") || encoding.is_empty(), "{head}");
        assert!(head.contains("text/javascript"), "{head}");
    }
    let (_, plain, body) = get(&proxy, "/big.txt", "").await;
    assert_eq!((body.len(), value(&plain, "content-length")), (text.len(), text.len().to_string().as_str()));
    let (status, head, _) = get(&proxy, "/big.txt", "Accept-Encoding: gzip\r\n").await;
    assert_eq!((status, value(&head, "content-encoding"), value(&head, "vary")), (200, "gzip", "accept-encoding"), "{head}");
    assert_eq!(value(&head, "etag"), format!("W/{}", value(&plain, "etag")));
    let (status, ..) = get(&proxy, "/big.txt", &format!("Accept-Encoding: gzip\r\nIf-None-Match: {}\r\n", value(&head, "etag"))).await;
    assert_eq!(status, 304);
}

#[tokio::test]
async fn large_files_arrive_whole_and_a_site_without_files_says_so() {
    let site = site();
    let large: Vec<u8> = (0..3_000_001_u32).map(|n| b'a' + (n % 23) as u8).collect();
    fs::write(site.path().join("large.bin"), &large).unwrap();
    let proxy = serve(site.path(), &[], |_, _, _| ()).await;
    assert_eq!(get(&proxy, "/large.bin", "").await.2.as_bytes(), large);
    assert_eq!(get(&proxy, "/large.bin", "Range: bytes=2999999-\r\n").await.2.as_bytes(), &large[2_999_999..]);

    let mut gone = table(2, &[("/", "shop/web", named("web").await)]);
    let files = Files { root: "/html".parse().unwrap(), sha256: None, spa: None, immutable: Vec::new() };
    gone.sites[0].routes[0].filters.answer = Some(Answer::Files(files));
    proxy.swap(&gone).await;
    assert_eq!(proxy.get("shop.example", "/").await.0, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn an_exported_site_has_its_pages_at_their_addresses() {
    let site = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = site.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    for name in ["index", "about", "about/team", "docs/index", "both", "both/index", "404"] {
        write(&format!("{name}.html"), &format!("<p>{name}"));
    }
    write("file", "text");
    write("file.html", "<p>no");
    let proxy = serve(site.path(), &[], |_, _, _| ()).await;
    for (path, body) in [
        ("/", "<p>index"),
        ("/about", "<p>about"),
        ("/about.html", "<p>about"),
        ("/about/team", "<p>about/team"),
        ("/docs/", "<p>docs/index"),
        ("/both", "<p>both"),
        ("/both/", "<p>both/index"),
        ("/file", "text"),
    ] {
        let (status, head, found) = get(&proxy, path, "").await;
        assert_eq!((status, found.as_str()), (200, body), "{path}: {head}");
    }
    for (path, to) in [("/about/?q=1", "/about?q=1"), ("/docs", "/docs/")] {
        let (status, head, _) = get(&proxy, path, "").await;
        assert_eq!((status, value(&head, "location")), (301, format!("http://shop.example:{}{to}", proxy.http.port()).as_str()), "{path}");
    }
    for path in ["/nothing", "/about/nobody", "/missing.js"] {
        let (status, head, body) = get(&proxy, path, "If-None-Match: *\r\nRange: bytes=0-1\r\n").await;
        assert_eq!((status, body.as_str()), (404, "<p>404"), "{path}: {head}");
        assert!(value(&head, "etag").is_empty(), "{head}");
    }
    assert_eq!(get(&proxy, "//evil.example/about/", "").await.0, 404, "never a redirect to elsewhere");
}
