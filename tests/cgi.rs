//! Promise: scripts are run as RFC 3875 says, whatever they do harms nobody, and none of their processes outlives its
//! answer; by every way that a handler comes to a connection.

mod common;

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use common::{
    Launcher, Mode, Scratch, Server, client::Response, holds_within, launch, process, scratch, unless_paused,
    wait_until,
};
use nix::sys::signal::Signal;

/// A site of scripts: name and text.
fn site(scripts: &[(&str, &str)]) -> Scratch {
    let site = Scratch::new();
    site.file("hello.txt", "hello\n");
    for (name, text) in scripts {
        let path = site.file(name, text);
        scratch::set_mode(&path, 0o755);
    }
    site
}

/// Runs a test over each way that there is.
fn everywhere(site: &Scratch, options: &[&str], test: impl Fn(Launcher, &Server)) {
    for launcher in Launcher::ALL {
        if let Some(server) = launcher.http(site.path(), options) {
            test(launcher, &server);
        }
    }
}

/// Takes a chunked body apart; what is none fails the test.
#[track_caller]
fn unchunk(mut bytes: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n").expect("the end of a chunk's size");
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).expect("digits"), 16).expect("a size");
        bytes = &bytes[end + 2..];
        body.extend_from_slice(&bytes[..size]);
        assert_eq!(&bytes[size..size + 2], b"\r\n");
        bytes = &bytes[size + 2..];
        if size == 0 {
            return (body, bytes);
        }
    }
}

/// A response on a connection of its own, its body without chunks.
#[track_caller]
fn ask(server: &Server, method: &str, path: &str, fields: &str, body: &[u8]) -> Response {
    let mut client = server.connect();
    client.send(format!("{method} {path} HTTP/1.1\r\nHost: h.example:81\r\nConnection: close\r\n{fields}\r\n"));
    client.send(body);
    let (mut response, length) = client.try_head().expect("the head of a response");
    if response.status == 100 {
        response = client.try_head().expect("another head").0;
    }
    let rest = client.rest().expect("the rest of the connection");
    response.body = match response.header("transfer-encoding") {
        Some(coding) if method != "HEAD" => {
            assert_eq!((coding, length), ("chunked", None));
            let (body, behind) = unchunk(&rest);
            assert_eq!(behind, b"");
            body
        }
        _ => rest,
    };
    response
}

fn get(server: &Server, path: &str) -> Response {
    ask(server, "GET", path, "", b"")
}

const ENV: (&str, &str) = (
    "env.cgi",
    "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'; tr '\\0' '\\n' </proc/$$/environ; echo \"ARGS=$*\"; pwd\n",
);

fn variables(response: &Response) -> BTreeMap<String, String> {
    let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_string(), value.to_string()));
    response.text().lines().filter_map(pair).collect()
}

#[test]
fn a_script_is_told_what_is_asked_and_nothing_else() {
    let site = site(&[("sub/env.cgi", ENV.1)]);
    let root = fs::canonicalize(site.path()).expect("its path").display().to_string();
    everywhere(&site, &["--cgi"], |_, server| {
        let fields = "X-Two: a\r\nProxy: evil\r\nX_Under: evil\r\nX!Odd`$: evil\r\nAuthorization: Basic eA==\r\nx-two: b\r\n\
                      Cookie: c=1\r\nCookie: d=2\r\nContent-Type: text/x\r\nContent-Length: 2\r\n";
        let response = ask(server, "POST", "/sub/env.cgi/a%20b/../c?x=1&y", fields, b"ab").expect(200);
        let told = variables(&response);
        for (name, value) in [
            ("GATEWAY_INTERFACE", "CGI/1.1"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("REQUEST_METHOD", "POST"),
            ("QUERY_STRING", "x=1&y"),
            ("REQUEST_URI", "/sub/env.cgi/a%20b/../c?x=1&y"),
            ("SCRIPT_NAME", "/sub/env.cgi"),
            ("SCRIPT_FILENAME", &format!("{root}/sub/env.cgi")),
            ("DOCUMENT_ROOT", &root),
            ("PATH_INFO", "/c"),
            ("PATH_TRANSLATED", &format!("{root}/c")),
            ("SERVER_NAME", "h.example"),
            ("SERVER_PORT", &server.address().port().to_string()),
            ("REMOTE_ADDR", "127.0.0.1"),
            ("CONTENT_LENGTH", "2"),
            ("CONTENT_TYPE", "text/x"),
            ("HTTP_HOST", "h.example:81"),
            ("HTTP_X_TWO", "a, b"),
            ("HTTP_COOKIE", "c=1; d=2"),
            ("ARGS", ""),
        ] {
            assert_eq!(told.get(name).map(String::as_str), Some(value), "{name} in {told:#?}");
        }
        // PWD, OLDPWD, SHLVL and _ are the shell's own.
        let known = "PATH SERVER_SOFTWARE SERVER_ADDR REMOTE_HOST REMOTE_PORT PWD OLDPWD SHLVL _";
        let known: Vec<&str> = known.split(' ').collect();
        let own = |name: &str| {
            ["GATEWAY_", "SERVER_", "REQUEST_", "QUERY_", "SCRIPT_", "DOCUMENT_", "PATH_", "CONTENT_"]
                .iter()
                .any(|start| name.starts_with(start))
        };
        for name in told.keys() {
            let expected = ["HTTP_HOST", "HTTP_X_TWO", "HTTP_COOKIE", "REMOTE_ADDR", "ARGS"].contains(&name.as_str());
            assert!(expected || known.contains(&name.as_str()) || own(name), "{name} is nobody's business");
        }
        assert!(response.text().ends_with(&format!("{root}/sub\n")), "it runs in its directory");
    });
}

/// Nothing of the server's own reaches a script: no descriptor, no signal that is blocked or ignored, no alarm.
#[test]
fn a_script_begins_clean() {
    let site = site(&[(
        "self.cgi",
        "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\nls /proc/self/fd | tr '\\n' ' '; echo\n\
         exec grep -E '^Sig(Blk|Ign)' /proc/self/status\n",
    )]);
    everywhere(&site, &["--cgi"], |launcher, server| {
        let text = get(server, "/self.cgi").expect(200).text();
        let mut lines = text.lines();
        // 3 is the directory that ls reads.
        assert_eq!(lines.next(), Some("0 1 2 3 "), "{launcher}: {text}");
        for line in lines {
            assert_eq!(line.split_whitespace().nth(1), Some("0000000000000000"), "{launcher}: {line}");
        }
        assert_eq!(text.lines().count(), 3, "{text}");
    });
}

#[test]
fn what_a_path_says_to_a_script() {
    let site = site(&[ENV, ("dir.cgi/env.cgi", ENV.1), ("dir.cgi/plain.txt", ""), ("nested/index.cgi", ENV.1)]);
    site.file("both/index.html", "the page");
    scratch::set_mode(&site.file("both/index.cgi", ENV.1), 0o755);
    site.file("closed.cgi", "the source");
    site.dir("empty.cgi");
    everywhere(&site, &["--cgi"], |_, server| {
        for (path, name, info, arguments) in [
            ("/env.cgi", "/env.cgi", None, ""),
            ("/env.cgi/", "/env.cgi", Some("/"), ""),
            ("/env.cgi/a/b/", "/env.cgi", Some("/a/b/"), ""),
            ("/env.cgi/x.cgi", "/env.cgi", Some("/x.cgi"), ""),
            ("/dir.cgi/env.cgi/x", "/dir.cgi/env.cgi", Some("/x"), ""),
            ("/nested/", "/nested/index.cgi", None, ""),
            ("/env.cgi?a+b%20c", "/env.cgi", None, "a b c"),
            ("/env.cgi?a=b+c", "/env.cgi", None, ""),
            ("/env.cgi?-s", "/env.cgi", None, ""),
            ("/env.cgi?a+%2ds", "/env.cgi", None, ""),
        ] {
            let told = variables(&get(server, path).expect(200));
            let value = |name: &str| told.get(name).map(String::as_str);
            assert_eq!((value("SCRIPT_NAME"), value("PATH_INFO")), (Some(name), info), "{path}");
            assert_eq!(value("ARGS"), Some(arguments), "{path}");
        }
        assert_eq!(get(server, "/both/").expect(200).text(), "the page");
        let closed = get(server, "/closed.cgi").expect(403);
        assert!(!closed.text().contains("source"));
        get(server, "/closed.cgi/x").expect(403);
        get(server, "/missing.cgi").expect(404);
        get(server, "/dir.cgi/missing").expect(404);
        get(server, "/dir.cgi/plain.txt").expect(200);
        for control in ["%00", "x%0d%0aSet-Cookie:%20a=b", "%0A", "%7f"] {
            get(server, &format!("/env.cgi/{control}")).expect(400);
        }
        ask(server, "POST", "/hello.txt", "Content-Length: 1\r\n", b"x").expect(405);
        ask(server, "POST", "/both/", "Content-Length: 1\r\n", b"x").expect(405);
        ask(server, "DELETE", "/env.cgi", "", b"").expect(200);
        ask(server, "TRACE", "/env.cgi", "", b"").expect(405);
    });
    everywhere(&site, &["--cgi", "--index", "index.cgi"], |_, server| {
        // An index that is named is executed too.
        get(server, "/both/").expect(200);
        assert_eq!(variables(&get(server, "/both/"))["SCRIPT_NAME"], "/both/index.cgi");
        get(server, "/nested/").expect(200);
    });
    everywhere(&site, &[], |_, server| {
        // Without the option they are files like others.
        assert_eq!(get(server, "/closed.cgi").expect(200).text(), "the source");
        get(server, "/nested/").expect(404);
        ask(server, "POST", "/env.cgi", "Content-Length: 1\r\n", b"x").expect(405);
    });
}

#[test]
fn bodies_reach_a_script() {
    let site = site(&[(
        "echo.cgi",
        "#!/bin/sh\nprintf 'Content-Type: text/plain\\nX-Length: %s\\n\\n' \"$CONTENT_LENGTH\"; exec cat\n",
    )]);
    // More than the pipes and sockets in between hold, so that both directions must go on at once.
    let large: Vec<u8> = (0..3 << 20).map(|i: u32| (i ^ (i >> 9)) as u8).collect();
    everywhere(&site, &["--cgi"], |_, server| {
        let length = |body: &[u8]| format!("Content-Length: {}\r\n", body.len());
        for body in [&b""[..], b"x", &large[..100_000], &large] {
            let mut client = server.connect();
            let mut writer = client.stream.try_clone().expect("clone the socket");
            let head = format!("POST /echo.cgi HTTP/1.0\r\n{}\r\n", length(body));
            let response = std::thread::scope(|scope| {
                scope.spawn(move || {
                    use std::io::Write;
                    writer.write_all(head.as_bytes()).and_then(|()| writer.write_all(body)).expect("send a body");
                });
                client.response("POST")
            });
            assert_eq!(response.expect_header("x-length"), body.len().to_string());
            assert!(response.expect(200).body == body, "{} bytes come back as they are", body.len());
        }
        // Chunks are gathered, for a script is told the length before it begins.
        let chunked = "Transfer-Encoding: chunked\r\n";
        let body = b"3;a=b\r\nabc\r\n00A\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n";
        let response = ask(server, "POST", "/echo.cgi", chunked, body).expect(200);
        assert_eq!((response.expect_header("x-length"), response.text().as_str()), ("13", "abc0123456789"));
        for bad in
            ["x\r\n", "3\r\nabcd\r\n", "3\nabc\r\n0\r\n\r\n", "-1\r\n", "3\r\nabc0\r\n\r\n", "fffffffffffffffff\r\n"]
        {
            ask(server, "POST", "/echo.cgi", chunked, bad.as_bytes()).expect(400);
        }
        // Nobody sends before it is told to.
        let mut client = server.connect();
        client.send("POST /echo.cgi HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
        assert_eq!(client.try_head().expect("the word to go on").0.status, 100);
        client.send("body");
        assert_eq!(client.try_head().expect("an answer").0.status, 200);
    });
}

/// The next request follows a script's answer, and the body that it was sent.
#[test]
fn a_connection_goes_on_behind_a_script() {
    let site = site(&[("echo.cgi", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'; exec cat\n")]);
    everywhere(&site, &["--cgi"], |launcher, server| {
        let mut client = server.connect();
        for _ in 0..3 {
            client.send("POST /echo.cgi HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
            client.send("POST /echo.cgi HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n");
            client.send("GET /hello.txt HTTP/1.1\r\nHost: h\r\n\r\n");
            for body in ["abc", "de"] {
                let (head, _) = client.try_head().expect("the answer of a script");
                assert_eq!((head.status, head.header("transfer-encoding")), (200, Some("chunked")));
                assert!(head.keeps_alive(), "{launcher} {head:?}");
                let chunks = client.take(format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).len()).expect("its body");
                assert_eq!(unchunk(&chunks).0, body.as_bytes());
            }
            assert_eq!(client.response("GET").expect(200).text(), "hello\n");
        }
    });
}

/// One that answers before it has read what was sent, or reads none of it: where the next request begins is known.
#[test]
fn a_connection_goes_on_behind_a_body_that_is_not_read() {
    let site = site(&[
        ("first.cgi", "#!/bin/sh\nprintf 'Content-Type: text/plain\\nContent-Length: 1\\n\\na'; cat >/dev/null\n"),
        ("never.cgi", "#!/bin/sh\nexec <&-; printf 'Content-Type: text/plain\\nContent-Length: 1\\n\\na'\n"),
    ]);
    everywhere(&site, &["--cgi"], |launcher, server| {
        let mut client = server.connect();
        for name in ["first", "never", "first", "never"] {
            let body = "GET /evil HTTP/1.1\r\nHost: h\r\n\r\n";
            let head = format!("POST /{name}.cgi HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len());
            client.send(format!("{head}{body}GET /hello.txt HTTP/1.1\r\nHost: h\r\n\r\n"));
            let response = client.response("POST").expect(200);
            assert!(response.keeps_alive(), "{name} under {launcher}: {response:?}");
            assert_eq!(client.response("GET").expect(200).text(), "hello\n", "{name} under {launcher}");
        }
    });
}

#[test]
fn a_script_decides_on_its_answer() {
    let say = |text: &str| format!("#!/bin/sh\nprintf '{text}'\n");
    let scripts = [
        ("status.cgi", say("Status: 404 Gone fishing\\nContent-Type: text/plain\\n\\nno")),
        ("none.cgi", say("Status: 204 No Content\\n\\nmore")),
        ("length.cgi", say("Content-Type: text/plain\\r\\nContent-Length: 4\\r\\n\\r\\nabcd")),
        ("more.cgi", say("Content-Type: text/plain\\nContent-Length: 2\\n\\nabcd")),
        ("local.cgi", say("Location: /hello.txt\\n\\n")),
        ("twice.cgi", say("Location: /local.cgi\\n\\n")),
        ("loop.cgi", say("Location: /loop.cgi\\n\\n")),
        ("up.cgi", say("Location: /../etc/passwd\\n\\n")),
        ("away.cgi", say("Location: http://a.example/b?c\\n\\n")),
        ("told.cgi", say("Status: 303 See Other\\nLocation: /x\\n\\n")),
        ("hop.cgi", say("Content-Type: a/b\\nConnection: upgrade\\nTransfer-Encoding: x\\nDate: now\\nX-Y: z\\n\\n")),
        ("nph-raw.cgi", say("HTTP/1.1 299 Mine\\r\\nX-Mine: 1\\r\\n\\r\\nraw")),
    ];
    let scripts: Vec<(&str, &str)> = scripts.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let site = site(&scripts);
    everywhere(&site, &["--cgi"], |_, server| {
        let status = get(server, "/status.cgi").expect(404);
        assert_eq!((status.line.as_str(), status.text().as_str()), ("HTTP/1.1 404 Gone fishing", "no"));
        assert_eq!(get(server, "/none.cgi").expect(204).text(), "");
        assert_eq!(get(server, "/length.cgi").expect(200).text(), "abcd");
        assert_eq!(get(server, "/more.cgi").expect(200).text(), "ab");
        assert_eq!(get(server, "/local.cgi").expect(200).text(), "hello\n");
        assert_eq!(get(server, "/twice.cgi").expect(200).text(), "hello\n");
        assert_eq!(ask(server, "POST", "/local.cgi", "Content-Length: 1\r\n", b"x").expect(200).text(), "hello\n");
        get(server, "/loop.cgi").expect(502);
        get(server, "/up.cgi").expect(404);
        let away = get(server, "/away.cgi").expect(302);
        assert_eq!(away.expect_header("location"), "http://a.example/b?c");
        assert_eq!(get(server, "/told.cgi").expect(303).expect_header("location"), "/x");
        let hop = get(server, "/hop.cgi").expect(200);
        assert_eq!((hop.header("connection"), hop.header("x-y")), (Some("close"), Some("z")));
        assert!(hop.expect_header("date").ends_with("GMT"));
        let raw = get(server, "/nph-raw.cgi").expect(299);
        assert_eq!((raw.line.as_str(), raw.header("date"), raw.text().as_str()), ("HTTP/1.1 299 Mine", None, "raw"));
        for path in ["/length.cgi", "/status.cgi"] {
            let (whole, head) = (get(server, path), ask(server, "HEAD", path, "", b""));
            assert_eq!((head.status, head.text().as_str()), (whole.status, ""));
            let without_date = |response: &Response| {
                response.headers.iter().filter(|(name, _)| name != "date").cloned().collect::<Vec<_>>()
            };
            assert_eq!(without_date(&head), without_date(&whole));
        }
    });
}

/// Scripts that are none. Whatever they do, the client gets an answer, and the next client too.
#[test]
fn hostile_scripts() {
    let scripts = [
        ("silent.cgi", "#!/bin/sh\nexit 0\n", 502),
        ("fails.cgi", "#!/bin/sh\nexit 3\n", 502),
        ("dies.cgi", "#!/bin/sh\nkill -SEGV $$\n", 502),
        ("headless.cgi", "#!/bin/sh\necho hello\n", 502),
        ("endless.cgi", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n'\n", 502),
        ("long.cgi", "#!/bin/sh\nprintf 'X: '; head -c 100000 /dev/zero | tr '\\0' x; printf '\\n\\n'\n", 502),
        ("many.cgi", "#!/bin/sh\nyes 'X: y' | head -c 1000000; printf '\\n'\n", 502),
        ("nul.cgi", "#!/bin/sh\nprintf 'Content-Type: a\\0b\\n\\n'\n", 502),
        ("split.cgi", "#!/bin/sh\nprintf 'Content-Type: a\\rSet-Cookie: b\\n\\n'\n", 502),
        ("status.cgi", "#!/bin/sh\nprintf 'Status: great\\n\\n'\n", 502),
        ("interim.cgi", "#!/bin/sh\nprintf 'Status: 101 Switch\\n\\n'\n", 502),
        ("lengths.cgi", "#!/bin/sh\nprintf 'Content-Type: a/b\\nContent-Length: 1\\nContent-Length: 2\\n\\nab'\n", 502),
        ("binary.cgi", "\u{1}\u{2}\u{3}\u{4}", 502),
        ("interpreter.cgi", "#!/nonexistent/interpreter\n", 502),
        ("nph-silent.cgi", "#!/bin/sh\nexit 0\n", 502),
        ("nph-junk.cgi", "#!/bin/sh\necho hello, world, without a status line\n", 502),
        ("closes.cgi", "#!/bin/sh\nexec <&-\nprintf 'Content-Type: a/b\\n\\nok'\n", 200),
        ("deaf.cgi", "#!/bin/sh\ntrap '' TERM PIPE HUP\nprintf 'Content-Type: a/b\\n\\nok'\n", 200),
        (
            "bytes.cgi",
            "#!/bin/sh\nfor b in C o n t e n t - T y p e : a; do printf $b; done; printf '\\n'; printf '\\nok'\n",
            200,
        ),
    ];
    let site = site(&scripts.map(|(name, text, _)| (name, text)));
    everywhere(&site, &["--cgi"], |_, server| {
        for (name, _, status) in scripts {
            get(server, &format!("/{name}")).expect(status);
            // With a body that it does not read.
            let body = vec![b'x'; 200_000];
            let fields = format!("Content-Length: {}\r\n", body.len());
            let mut client = server.connect();
            client.send(format!("POST /{name} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{fields}\r\n"));
            // The connection may end before all of it was sent.
            let _ = std::io::Write::write_all(&mut client.stream, &body);
            assert_eq!(client.try_head().expect("an answer").0.status, status, "{name}");
        }
        get(server, "/hello.txt").expect(200);
    });
}

/// RFC 3875 section 6.3: a script's own fields stand once in its head. As in Apache, the last one counts.
#[test]
fn what_is_said_twice_is_passed_on_once() {
    let site = site(&[
        ("type.cgi", "#!/bin/sh\nprintf 'Content-Type: text/a\\nX-Y: 1\\nX-Y: 2\\ncontent-type: text/b\\n\\nok'\n"),
        (
            "place.cgi",
            "#!/bin/sh\nprintf 'Location: http://a/\\nStatus: 303 A\\nLocation: http://b/\\nStatus: 307 B\\n\\n'\n",
        ),
    ]);
    everywhere(&site, &["--cgi"], |_, server| {
        let all = |response: &Response, name: &str| {
            let same = |(known, _): &&(String, String)| known.eq_ignore_ascii_case(name);
            response.headers.iter().filter(same).map(|(_, value)| value.clone()).collect::<Vec<_>>()
        };
        let response = get(server, "/type.cgi").expect(200);
        assert_eq!(all(&response, "content-type"), ["text/b"]);
        assert_eq!(all(&response, "x-y"), ["1", "2"]);
        let response = get(server, "/place.cgi").expect(307);
        assert_eq!(all(&response, "location"), ["http://b/"]);
    });
}

/// A client that closes is missed while the script is silent, and one that only stops sending gets its answer.
#[test]
fn a_client_that_leaves_is_missed() {
    let number = unique();
    let site = site(&[
        ("mute.cgi", &format!("#!/bin/sh\nsleep {number}\n")),
        ("slow.cgi", "#!/bin/sh\nwhile [ ! -e go ]; do sleep 0.02; done; printf 'Content-Type: a/b\\n\\nlate'\n"),
    ]);
    // Its time is not over within the bound of this test.
    everywhere(&site, &["--cgi", "--cgi-timeout", "3600"], |_, server| {
        let mut client = server.connect();
        client.send("GET /mute.cgi HTTP/1.1\r\nHost: h\r\n\r\n");
        wait_until("the script runs", || !sleepers(&number).is_empty());
        drop(client);
        gone(&number);
        for (version, interim) in [("1.1", true), ("1.0", false)] {
            let mut client = server.connect();
            client.send(format!("GET /slow.cgi HTTP/{version}\r\nHost: h\r\nConnection: close\r\n\r\n"));
            client.finish();
            if interim {
                assert_eq!(client.try_head().expect("an interim response").0.status, 100);
            }
            site.file("go", "");
            let (head, _) = client.try_head().expect("the answer");
            assert_eq!(head.status, 200);
            let rest = String::from_utf8_lossy(&client.rest().expect("its end")).into_owned();
            assert!(rest.contains("late"), "{rest}");
            fs::remove_file(site.join("go")).expect("remove it");
        }
    });
}

/// What was announced and does not come must not look like an answer that is whole.
#[test]
fn an_answer_that_breaks_off_is_not_taken_for_whole() {
    let site = site(&[
        ("short.cgi", "#!/bin/sh\nprintf 'Content-Type: a/b\\nContent-Length: 10\\n\\nabc'\n"),
        ("killed.cgi", "#!/bin/sh\nprintf 'Content-Type: a/b\\n\\nabc'; kill -KILL $$\n"),
    ]);
    everywhere(&site, &["--cgi"], |_, server| {
        let mut client = server.connect();
        client.send("GET /short.cgi HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(client.try_head().expect("a head").1, Some(10));
        assert_eq!(client.rest().expect("and the end"), b"abc");
        let mut client = server.connect();
        client.send("GET /killed.cgi HTTP/1.1\r\nHost: h\r\n\r\n");
        client.try_head().expect("a head");
        assert_eq!(client.rest().expect("and the end"), b"3\r\nabc\r\n");
    });
}

/// Output without an end is sent as long as somebody reads it, and its script ends when nobody does.
#[test]
fn output_without_an_end() {
    let number = unique();
    let text = format!("#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'; sleep {number} & exec yes\n");
    let site = site(&[("yes.cgi", &text)]);
    everywhere(&site, &["--cgi"], |_, server| {
        let mut client = server.connect();
        client.send("GET /yes.cgi HTTP/1.0\r\n\r\n");
        client.try_head().expect("a head");
        assert!(client.take(2 << 20).expect("two MiB of it").chunks(2).all(|line| line == b"y\n"));
        assert!(!sleepers(&number).is_empty(), "the test is able to fail");
        drop(client);
        gone(&number);
    });
}

/// Numbers that no other test sleeps for.
fn unique() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("9{:07}.{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The processes that sleep for so long.
fn sleepers(number: &str) -> Vec<u32> {
    let is = |pid: &u32| {
        let words = fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline")).unwrap_or_default();
        words.split(|&byte| byte == 0).any(|word| word == number.as_bytes())
    };
    process::all().iter().map(|process| process.pid).filter(is).collect()
}

#[track_caller]
fn gone(number: &str) {
    wait_until("every process of the script is gone", || sleepers(number).is_empty());
}

/// Children in the background, in sessions of their own, orphaned twice over, deaf to signals: none outlives the answer.
#[test]
fn no_process_of_a_script_stays() {
    let number = unique();
    let answer = "printf 'Content-Type: text/plain\\n\\nok'";
    let text = [
        ("child.cgi", format!("#!/bin/sh\nsleep {number} & {answer}\n")),
        ("session.cgi", format!("#!/bin/sh\nsetsid sleep {number} & {answer}\n")),
        (
            "daemon.cgi",
            format!("#!/bin/sh\n(setsid sh -c 'trap \"\" TERM HUP; sleep {number} & sleep {number}' &) & {answer}\n"),
        ),
        (
            "crowd.cgi",
            format!(
                "#!/bin/sh\nfor i in 1 2 3 4 5 6 7 8; do (setsid sh -c 'setsid sleep {number} & setsid sleep {number} & \
                 exit' &); done >/dev/null 2>&1 </dev/null\n{answer}\n"
            ),
        ),
        ("closed.cgi", format!("#!/bin/sh\n{answer}; exec >&- 2>&- <&-; setsid sleep {number} & exit 0\n")),
    ];
    let scripts: Vec<(&str, &str)> = text.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let site = site(&scripts);
    everywhere(&site, &["--cgi"], |launcher, server| {
        for (name, _) in &text {
            let mut client = server.connect();
            client.send(format!("GET /{name} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
            let rest = client.rest().expect("an answer");
            assert!(rest.ends_with(b"2\r\nok\r\n0\r\n\r\n"), "{name}: {}", String::from_utf8_lossy(&rest));
            // They were gone before the answer ended.
            assert_eq!(sleepers(&number), [0; 0], "{name} under {launcher}");
        }
    });
}

/// A script that says nothing, or stops in the middle, is ended when its time is over.
#[test]
fn a_script_has_its_time() {
    let number = unique();
    let text = [
        ("mute.cgi", format!("#!/bin/sh\ntrap '' TERM; setsid sleep {number} & sleep {number}\n")),
        ("stops.cgi", format!("#!/bin/sh\nprintf 'Content-Type: a/b\\n\\nabc'; exec sleep {number}\n")),
        ("reads.cgi", "#!/bin/sh\nx=$(cat); printf 'Content-Type: a/b\\n\\n'\n".into()),
    ];
    let scripts: Vec<(&str, &str)> = text.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let site = site(&scripts);
    everywhere(&site, &["--cgi", "--cgi-timeout", "1", "--header-timeout", "1"], |_, server| {
        unless_paused(|| {
            get(server, "/mute.cgi").expect(504);
            gone(&number);
            // When it is the client that stops, it is told so.
            for framing in ["Content-Length: 10\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n5\r\nabc"] {
                let mut client = server.connect();
                client.send(format!("POST /reads.cgi HTTP/1.1\r\nHost: h\r\n{framing}"));
                client.response("POST").expect(408);
                client.expect_end();
            }
            let mut client = server.connect();
            client.send("GET /stops.cgi HTTP/1.1\r\nHost: h\r\n\r\n");
            client.try_head().expect("a head");
            assert_eq!(client.rest().expect("its end"), b"3\r\nabc\r\n");
            gone(&number);
        })
    });
}

/// However the process that serves the connection ends, the script ends with it.
#[test]
fn a_script_ends_with_its_server() {
    for mode in Mode::ALL {
        for how in [Signal::SIGKILL, Signal::SIGSEGV, Signal::SIGALRM] {
            let number = unique();
            let script = format!("#!/bin/sh\nsetsid sleep {number} & sleep {number}\n");
            let site = site(&[("sleep.cgi", &script)]);
            let server = launch::serve(mode, 4, &["--cgi"], site.path());
            let mut client = server.connect();
            client.send("GET /sleep.cgi HTTP/1.1\r\nHost: h\r\n\r\n");
            wait_until("the script runs", || sleepers(&number).len() == 2);
            common::server::send(server.child_of(&client), how);
            client.expect_end();
            gone(&number);
        }
        // And when the service stops, whose patience is short.
        let number = unique();
        let site = site(&[("sleep.cgi", &format!("#!/bin/sh\nsetsid sleep {number} & sleep {number}\n"))]);
        let mut server = launch::serve(mode, 4, &["--cgi", "--drain", "0"], site.path());
        let mut client = server.connect();
        client.send("GET /sleep.cgi HTTP/1.1\r\nHost: h\r\n\r\n");
        wait_until("the script runs", || sleepers(&number).len() == 2);
        server.stop();
        gone(&number);
    }
}

/// What is under way is completed when the service stops.
#[test]
fn a_script_is_waited_for() {
    for mode in Mode::ALL {
        let site = site(&[(
            "slow.cgi",
            "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\nbegun '; while [ ! -e go ]; do sleep 0.05; done; printf done\n",
        )]);
        let mut server = launch::serve(mode, 4, &["--cgi"], site.path());
        let mut client = server.connect();
        client.send("GET /slow.cgi HTTP/1.0\r\n\r\n");
        client.try_head().expect("a head");
        server.signal(Signal::SIGTERM);
        assert!(!holds_within(Duration::from_millis(300), || server.poll_exit().is_some()));
        site.file("go", "");
        assert_eq!(client.rest().expect("the rest"), b"begun done");
        assert_eq!(server.wait().code(), Some(0));
    }
}

/// Where nothing of the system is in sight: a script that is a static program answers from there.
#[test]
fn scripts_in_a_new_root() {
    if !scratch::is_root() {
        common::say("SKIPPED scripts_in_a_new_root: only root may");
        return;
    }
    for mode in [Mode::Prefork, Mode::OneShot, Mode::Fork] {
        let site = Scratch::new();
        site.file("www/hello.txt", "hello\n");
        // What it is sent it says: so a request brings the script's answer along.
        let script = site.file("www/echo.cgi", fs::read(common::handler("tine-echo")).expect("a static program"));
        scratch::set_mode(&script, 0o755);
        let chroot = site.path().display().to_string();
        let options = [mode.options(2), ["--cgi", "--chroot", &chroot].map(String::from).to_vec()].concat();
        let server = Server::ready(launch::serve_command(&options, Path::new("/www")));
        let said = "Content-Type: text/x\n\nfrom within";
        let fields = format!("Content-Length: {}\r\n", said.len());
        let response = ask(&server, "POST", "/echo.cgi", &fields, said.as_bytes()).expect(200);
        assert_eq!((response.expect_header("content-type"), response.text().as_str()), ("text/x", "from within"));
        get(&server, "/hello.txt").expect(200);
        // There is no shell in there.
        let script = site.file("www/shell.cgi", "#!/bin/sh\n");
        scratch::set_mode(&script, 0o755);
        get(&server, "/shell.cgi").expect(502);
    }
}

#[test]
fn the_log_tells_what_scripts_say_and_do() {
    let site = site(&[
        ("says.cgi", "#!/bin/sh\necho 'from the script' >&2; printf 'Status: 418 Teapot\\n\\nx'\n"),
        ("dies.cgi", "#!/bin/sh\nkill -TERM $$\n"),
    ]);
    everywhere(&site, &["--cgi"], |launcher, server| {
        get(server, "/says.cgi").expect(418);
        get(server, "/dies.cgi").expect(502);
        if launcher.logs_to_us() {
            server.await_log(&["from the script"]);
            server.await_log(&["\"GET /says.cgi HTTP/1.1\" 418 1 "]);
            server.await_log(&["http: warning: script", "exit status 143", "dies.cgi"]);
            server.await_log(&["\"GET /dies.cgi HTTP/1.1\" 502 "]);
        }
    });
}

/// A child that has run scripts is as it was: no descriptor more, no process, and good for the next connection.
#[test]
fn nothing_is_left_in_a_child_that_is_reused() {
    let site = site(&[ENV, ("dies.cgi", "#!/bin/sh\nexit 1\n")]);
    let server = launch::serve(Mode::Prefork, 1, &["--cgi"], site.path());
    get(&server, "/hello.txt").expect(200);
    let child = server.children()[0].pid;
    let before = process::descriptors(child);
    for _ in 0..20 {
        get(&server, "/env.cgi").expect(200);
        get(&server, "/dies.cgi").expect(502);
        ask(&server, "POST", "/env.cgi", "Transfer-Encoding: chunked\r\n", b"1\r\nx\r\n0\r\n\r\n").expect(200);
    }
    assert_eq!(server.children().iter().map(|one| one.pid).collect::<Vec<_>>(), [child], "the same child");
    wait_until("its last connection is closed", || process::descriptors(child) == before);
    assert_eq!(process::children(child), []);
}
