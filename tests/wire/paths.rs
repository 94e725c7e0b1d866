//! What a path may name: everything beneath the root, and nothing else.

use crate::{Wire, common::scratch::is_root, site};

everywhere! {
    escapes_are_decoded
    a_query_is_no_part_of_the_name
    an_absolute_request_target_is_understood
    dots_and_slashes_stay_beneath_the_root
    links_inside_are_followed
    links_out_are_not
    files_with_a_dot_are_not_served
    a_fifo_holds_nobody
    a_file_that_may_not_be_read_is_refused
    a_long_path_is_refused
    a_name_with_nul_is_refused
}

fn escapes_are_decoded(wire: &Wire) {
    let names = [
        ("/with%20space.txt", "space"),
        ("/%C3%BCn%c3%af.txt", "umlaut"),
        ("/100%25.txt", "percent"),
        ("/plus+plus.txt", "plus"),
        ("/a%26b%3D%27%22%3Cc%3E.txt", "quotes"),
        ("/a&b='%22%3Cc%3E.txt", "quotes"),
        ("/%68ello.txt", site::HELLO),
        ("/sub%2Fdeep/file.txt", ""),
    ];
    let mut client = wire.connect();
    for (path, body) in names {
        let response = client.get(path);
        if body.is_empty() {
            // An encoded slash is data and no separator; taking it for one is common and harmless beneath the root.
            assert!(matches!(response.status, 200 | 400 | 404), "{path}: {:?}", response.line);
            continue;
        }
        assert_eq!(response.status, 200, "{path}");
        assert_eq!(response.text(), body, "{path}");
    }
}

fn a_query_is_no_part_of_the_name(wire: &Wire) {
    let mut client = wire.connect();
    for path in ["/hello.txt?", "/hello.txt?a=b", "/hello.txt?a/b?c", "/hello.txt?%00", "/hello.txt?/../x"] {
        assert_eq!(client.get(path).expect(200).text(), site::HELLO, "{path}");
    }
}

/// RFC 9112, section 3.2.2: a server must accept it.
fn an_absolute_request_target_is_understood(wire: &Wire) {
    for target in ["http://localhost/hello.txt", "http://localhost:80/hello.txt", "HTTP://other.example/hello.txt"] {
        assert_eq!(wire.get(target).expect(200).text(), site::HELLO);
    }
    assert_eq!(wire.get("http://localhost").expect(200).body, wire.site.read("index.html"));
}

fn dots_and_slashes_stay_beneath_the_root(wire: &Wire) {
    let escapes = [
        "/../outside/secret.txt",
        "/sub/../../outside/secret.txt",
        "/%2e%2e/outside/secret.txt",
        "/%2E%2E%2Foutside%2Fsecret.txt",
        "/..%2foutside/secret.txt",
        "/.%2e/outside/secret.txt",
        "/sub/..%5c../outside/secret.txt",
        "/..//outside/secret.txt",
        "//../outside/secret.txt",
        "/./../outside/secret.txt",
        "/../../../../../../../../../../etc/passwd",
        "//etc/passwd",
        "/%2fetc/passwd",
        "http://localhost/../outside/secret.txt",
        "/directory/../outside/secret.txt",
        "/proc/self/root/etc/passwd",
        "..",
        "../outside/secret.txt",
        "*",
        "hello.txt",
    ];
    for path in escapes {
        let response = wire.get(path);
        assert!(matches!(response.status, 400 | 403 | 404), "{path}: {:?}", response.line);
        assert!(!response.text().contains(site::SECRET) && !response.text().contains("root:"), "{path}");
    }
}

fn links_inside_are_followed(wire: &Wire) {
    for path in ["/inside", "/sub/upwards"] {
        assert_eq!(wire.get(path).expect(200).text(), site::HELLO, "{path}");
    }
}

fn links_out_are_not(wire: &Wire) {
    for path in ["/outside", "/absolute", "/directory/secret.txt", "/directory/", "/directory"] {
        let response = wire.get(path);
        assert!(matches!(response.status, 403 | 404), "{path}: {:?}", response.line);
        assert!(!response.text().contains(site::SECRET), "{path}");
    }
}

fn files_with_a_dot_are_not_served(wire: &Wire) {
    for path in ["/.hidden", "/sub/.hidden", "/.git/config", "/.git/", "/%2ehidden", "/sub/%2Ehidden", "/./.hidden"] {
        let response = wire.get(path);
        assert!(matches!(response.status, 400 | 403 | 404), "{path}: {:?}", response.line);
        assert!(!response.text().contains(site::SECRET), "{path}");
    }
}

/// Opening a FIFO that nobody writes to waits for ever, unless one asks not to.
fn a_fifo_holds_nobody(wire: &Wire) {
    let mut client = wire.connect();
    for path in ["/fifo", "/socket"] {
        let response = client.get(path);
        assert!(matches!(response.status, 403 | 404), "{path}: {:?}", response.line);
    }
    assert_eq!(client.get("/hello.txt").expect(200).text(), site::HELLO);
}

fn a_file_that_may_not_be_read_is_refused(wire: &Wire) {
    if is_root() && crate::common::launch::user(Some(&wire.site.root())).next().is_some() {
        return; // Served by root, who may read everything.
    }
    let response = wire.get("/private.txt");
    assert!(matches!(response.status, 403 | 404), "{:?}", response.line);
    assert!(!response.text().contains(site::SECRET));
}

fn a_long_path_is_refused(wire: &Wire) {
    for length in [300, 3_000, 5_000, 60_000] {
        let response = wire.get(&format!("/{}", "x".repeat(length)));
        assert!(matches!(response.status, 400 | 404 | 414 | 431), "{length}: {:?}", response.line);
    }
    let response = wire.get(&"/x".repeat(2_000));
    assert!(matches!(response.status, 400 | 404 | 414 | 431), "{:?}", response.line);
}

fn a_name_with_nul_is_refused(wire: &Wire) {
    for path in ["/hello.txt%00", "/hello.txt%00.html", "/%00", "/sub/%00/../hello.txt"] {
        let response = wire.get(path);
        assert!(matches!(response.status, 400 | 404), "{path}: {:?}", response.line);
    }
    for path in ["/%", "/%4", "/%zz", "/hello.txt%"] {
        let response = wire.get(path);
        assert!(matches!(response.status, 400 | 404), "{path}: {:?}", response.line);
    }
}
