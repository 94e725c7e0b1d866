//! Promise: where a name and a password are asked for, nobody gets anything without them; by every way that a handler comes
//! to a connection.

mod common;

use std::{fs, path::Path, process::Command};

use common::{
    Launcher, Mode, Scratch, Server, client::Response, launch, peer, process, run, scratch, tine, wait_until,
};

/// What is behind the door.
const SECRET: &str = "what only some may see";

/// Made by `htpasswd -B -C 5` and crypt(3); the password of each is `secret`.
const USERS: &str = include_str!("../auth/tests/users");

fn site() -> Scratch {
    let site = Scratch::new();
    site.file("www/index.html", SECRET);
    site.file("www/sub/page.html", SECRET);
    let script = site.file(
        "www/who.cgi",
        "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'; echo \"$AUTH_TYPE $REMOTE_USER $HTTP_AUTHORIZATION\"\n",
    );
    scratch::set_mode(&script, 0o755);
    site.file("users", USERS);
    site
}

fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |bytes: &[u8]| {
        let number = bytes.iter().chain([&0; 2]).take(3).fold(0, |number, &byte| number << 8 | usize::from(byte));
        let digit = |at: usize| if at <= bytes.len() { DIGITS[number >> (18 - 6 * at) & 63] as char } else { '=' };
        (0..4).map(digit).collect::<String>()
    };
    text.as_bytes().chunks(3).map(group).collect()
}

#[track_caller]
fn ask(server: &Server, path: &str, credentials: &str) -> Response {
    let field = match credentials {
        "" => String::new(),
        text => format!("Authorization: Basic {}\r\n", base64(text)),
    };
    server.connect().request("GET", path, &format!("Connection: close\r\n{field}"))
}

#[test]
fn credentials_are_written_right() {
    assert_eq!(
        ["", "a", "ab", "abc", "Aladdin:open sesame"].map(base64),
        ["", "YQ==", "YWI=", "YWJj", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="]
    );
}

#[test]
fn a_file_of_users() {
    let site = site();
    let users = site.join("users").display().to_string();
    for launcher in Launcher::ALL {
        let options = ["--auth", &users, "--auth-realm", "the_house", "--cgi", "--listing"];
        let Some(server) = launcher.http(&site.join("www"), &options) else { continue };
        for path in ["/", "/sub/", "/sub/page.html", "/who.cgi", "/missing"] {
            for credentials in ["", "sha512:wrong", "nobody:secret", "sha512:", ":secret", "sha512", "sha512:secret\0"]
            {
                let refused = ask(&server, path, credentials).expect(401);
                let challenge = refused.expect_header("www-authenticate");
                assert_eq!(challenge, "Basic realm=\"the_house\", charset=\"UTF-8\"");
                assert!(!refused.text().contains(SECRET));
            }
        }
        for user in ["bcrypt", "sha512", "sha512rounds", "sha256"] {
            let credentials = format!("{user}:secret");
            assert_eq!(ask(&server, "/", &credentials).expect(200).text(), SECRET);
            ask(&server, "/missing", &credentials).expect(404);
            assert_eq!(ask(&server, "/who.cgi", &credentials).expect(200).text(), who(user));
        }
        // On one connection, with and without.
        let mut client = server.connect();
        let field = format!("Authorization: Basic {}\r\n", base64("sha512:secret"));
        client.request("GET", "/", &field).expect(200);
        client.request("GET", "/", "").expect(401);
        client.request("GET", "/", "Authorization: Basic AAAA\r\n").expect(401);
        client.request("GET", "/", "Authorization: Bearer x\r\n").expect(401);
        client.request("GET", "/", &field).expect(200);
        if launcher.logs_to_us() {
            server.await_log(&[" - sha512 [", "\"GET / HTTP/1.1\" 200 "]);
            server.await_log(&[" - - [", "\"GET / HTTP/1.1\" 401 "]);
        }
    }
}

/// The only chunk of the script's answer, and the end.
fn who(user: &str) -> String {
    let text = format!("Basic {user} \n");
    format!("{:x}\r\n{text}\r\n0\r\n\r\n", text.len())
}

/// A good password is not computed anew for each request: of 50 on one connection, the first starts a program.
#[test]
fn good_credentials_are_remembered() {
    let site = site();
    let users = site.join("users").display().to_string();
    let Some(strace) = peer("strace") else { return };
    for mode in [Mode::Prefork, Mode::Vfork] {
        let server = launch::serve(mode, 1, &["--auth", &users], &site.join("www"));
        let mut client = server.connect();
        let field = format!("Authorization: Basic {}\r\n", base64("sha512:secret"));
        client.request("GET", "/", &field).expect(200);
        let child = server.child_of(&client);
        let trace = site.join(&format!("trace-{mode:?}"));
        let mut tracer = Command::new(&strace);
        tracer.args(["-f", "-e", "trace=clone,execve", "-o"]).arg(&trace).args(["-p", &child.to_string()]);
        let tracer = Server::spawn(tracer);
        wait_until("strace is attached", || tracer.log().contains("attached"));
        for _ in 0..50 {
            client.request("GET", "/", &field).expect(200);
        }
        let calls = || fs::read_to_string(&trace).unwrap_or_default();
        assert_eq!(calls().matches("clone").count(), 0, "{}", calls());
        client.request("GET", "/", "Authorization: Basic AAAA\r\n").expect(401);
        wait_until("a wrong password is looked at: the test is able to fail", || calls().contains("clone"));
    }
}

/// Mistakes are told in one line, before anything is served.
#[test]
fn a_wrong_file_of_users() {
    let site = site();
    site.file("old", "a:{SHA}xyz\n");
    site.file("second", format!("{USERS}\nb:$apr1$x$y\n"));
    site.file("empty", "# nobody\n");
    for (file, word) in [
        ("missing", "No such file"),
        ("www", "directory"),
        ("old", "line 1: its hash is none of bcrypt"),
        ("second", "line 7: its hash is none of bcrypt"),
        ("empty", "there is no user in it"),
    ] {
        for mode in Mode::ALL {
            let path = site.join(file).display().to_string();
            let options = [mode.options(2), vec!["--auth".into(), path.clone()]].concat();
            let output = run(&mut launch::serve_command(&options, &site.join("www")));
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            let fatal: Vec<&str> = told.lines().filter(|line| line.contains("fatal")).collect();
            assert_eq!((output.status.code(), fatal.len()), (Some(111), 1), "{told}");
            assert!(fatal[0].contains(&path) && fatal[0].contains(word), "{told}");
        }
    }
    let usage = |option: [&str; 2]| {
        let mut command = Command::new(tine());
        command.args(["serve", "--check"]).args(option).arg(site.join("www"));
        run(&mut command).status.code()
    };
    assert_eq!(usage(["--auth-realm", "a\"b"]), Some(100));
    assert_eq!(usage(["--auth", ""]), Some(100));
}

/// A file that goes bad later closes the door and says why.
#[test]
fn a_file_that_vanishes() {
    let site = site();
    let users = site.join("users");
    let server = launch::serve(Mode::Fork, 4, &["--auth", &users.display().to_string()], &site.join("www"));
    ask(&server, "/", "sha512:secret").expect(200);
    fs::remove_file(&users).expect("remove it");
    assert!(!ask(&server, "/", "sha512:secret").expect(500).text().contains(SECRET));
    server.await_log(&["tine-auth: fatal: unable to read", "users"]);
    server.await_log(&["http: warning: nobody can say who may", "tine-auth"]);
}

/// fnord's `.http-auth`: a program at the root that is told host, path and credentials, and says yes by its exit status.
#[test]
fn a_program_of_the_sites_own() {
    let site = Scratch::new();
    site.file("index.html", SECRET);
    site.file("open/index.html", "for all");
    let hook = site.file(
        ".http-auth",
        "#!/bin/sh\necho \"asked: $# $1 $2 $3\"\ncase $2 in /open/*) exit 0;; esac\n[ \"$3\" = 'Basic eDp5' ] || exit 7\n",
    );
    for launcher in Launcher::ALL {
        scratch::set_mode(&hook, 0o755);
        let Some(server) = launcher.http(site.path(), &["--auth-hook"]) else { continue };
        ask(&server, "/", "").expect(401);
        ask(&server, "/", "a:b").expect(401);
        assert_eq!(ask(&server, "/", "x:y").expect(200).text(), SECRET);
        assert_eq!(ask(&server, "/open/", "").expect(200).text(), "for all");
        assert_eq!(ask(&server, "/open/%2e%2e/", "").status, 401, "it is told what is served");
        ask(&server, "/.http-auth", "x:y").expect(404);
        if launcher.logs_to_us() {
            server.await_log(&["asked: 3 localhost / Basic eDp5"]);
            server.await_log(&["asked: 2 localhost /open/"]);
        }
        // One that cannot be executed, and one that does not answer, let nobody in.
        scratch::set_mode(&hook, 0o644);
        assert!(!ask(&server, "/open/", "").expect(500).text().contains("for all"));
    }
    site.file(".http-auth", "#!/bin/sh\nexec sleep 1000\n");
    scratch::set_mode(&hook, 0o755);
    let server = launch::serve(Mode::Prefork, 1, &["--auth-hook", "--cgi-timeout", "1"], site.path());
    common::unless_paused(|| drop(ask(&server, "/open/", "").expect(500)));
    // A child that failed is replaced, and what it had started is gone.
    wait_until("a child without children waits", || {
        let children = server.children();
        children.len() == 1 && children.iter().all(|child| process::children(child.pid).is_empty())
    });
    fs::remove_file(Path::new(&hook)).expect("remove it");
    ask(&server, "/", "").expect(200);
}
