//! Promise: a site that fnord serves moves over without loss, as the table in `tine-http`'s manual says line by line; and
//! what the manual, `--help` and the program say of its options is the same.

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use common::{Launcher, Scratch, Server, handler, peer};

/// What fnord has, by its documentation and its source.
const FEATURES: &[&str] = &[
    "a process for each connection",
    "started by UCSPI, with PROTO",
    "a directory as its argument",
    "foo.html.gz for foo.html",
    "foo.png for foo.gif",
    "406 when nothing is acceptable",
    "a dangling link is a redirect",
    "a dangling link redirects a host",
    "virtual hosts as directories",
    "the directory default",
    "a leading dot is a colon",
    "slashes in a row are one",
    "a tarpit for harvesters",
    "REDIRECT_HOST and REDIRECT_URI",
    ".http-auth",
    "scripts named *.cgi",
    "nph-*.cgi",
    "index.cgi",
    "PATH_INFO and PATH_TRANSLATED",
    "bodies for scripts",
    "fields as HTTP_* for scripts",
    "scripts inherit the environment",
    "a query as arguments",
    "Status of a script",
    "a silent script is 504",
    "keep-alive behind a script",
    "lists of directories",
    "a new root, and GID and UID",
    "keep-alive of HTTP/1.0",
    "keep-alive of HTTP/1.1",
    "pipelined requests",
    "ranges",
    "If-Modified-Since in three forms",
    "a line for each request",
    "20 seconds for a head and for writing",
    "types by extension",
    "large files by sendfile",
    "HTTPS by sslserver",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn manual() -> PathBuf {
    root().join("man/tine-http.8")
}

/// A line of the table: what it is about, the tests that keep it (file and name), what is said of it.
struct Row {
    feature: String,
    tests: Vec<(String, String)>,
    text: String,
}

/// The lines of the manual's section FNORD. The tests stand in comments before each.
fn table() -> Vec<Row> {
    let text = fs::read_to_string(manual()).expect("read the manual");
    let (_, section) = text.split_once("\n.Sh FNORD\n").expect("the table");
    let (section, _) = section.split_once("\n.Sh ").expect("what follows");
    let (mut rows, mut tests) = (Vec::<Row>::new(), Vec::new());
    for line in section.lines() {
        if let Some(test) = line.strip_prefix(".\\\" ") {
            let (file, name) = test.split_once(": ").unwrap_or_else(|| panic!("{test} names no test"));
            tests.push((file.to_string(), name.to_string()));
        } else if let Some(feature) = line.strip_prefix(".It ") {
            rows.push(Row { feature: feature.to_string(), tests: std::mem::take(&mut tests), text: String::new() });
        } else if let Some(row) = rows.last_mut() {
            row.text += line;
        }
    }
    assert!(tests.is_empty(), "{tests:?} stand before no line");
    rows
}

#[test]
fn the_table_is_complete_and_each_line_has_its_tests() {
    let rows = table();
    let features: Vec<&str> = rows.iter().map(|row| row.feature.as_str()).collect();
    assert_eq!(features[..FEATURES.len()], *FEATURES);
    assert!(features.len() > FEATURES.len() + 8, "and what fnord gets wrong");
    for row in &rows[..FEATURES.len()] {
        let begins = ["Works", "Different: ", "Not here: "].iter().any(|word| row.text.starts_with(word));
        assert!(begins, "{}: {}", row.feature, row.text);
    }
    for Row { feature, tests, .. } in &rows {
        assert!(!tests.is_empty(), "{feature} has no test");
        for (file, name) in tests {
            let source = fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
            let function = format!("fn {name}(");
            let at = source.find(&function).unwrap_or_else(|| panic!("{feature}: no {name} in {file}"));
            // A test by its attribute, or by the list of those that are run everywhere.
            let before = source[..at].lines().rev().take_while(|line| !line.trim().is_empty()).collect::<Vec<_>>();
            let listed = source.lines().any(|line| line.trim() == name);
            assert!(listed || before.contains(&"#[test]"), "{name} in {file} is no test");
        }
    }
}

/// Options by name: what stands for the value, and the default.
type Options = BTreeMap<String, (String, String)>;

/// What `--help` prints: `  --name VALUE  meaning [default]`.
fn helped() -> Options {
    let output = Command::new(handler("tine-http")).arg("--help").output().expect("run it");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    let text = String::from_utf8(output.stdout).expect("text");
    let option = |line: &str| {
        let (name, rest) = line.strip_prefix("  --")?.split_once(' ')?;
        let (value, meaning) =
            if rest.starts_with(' ') { ("", rest) } else { rest.split_once("  ").or(rest.split_once(" Add "))? };
        let default = meaning.strip_suffix(']').and_then(|rest| rest.rsplit_once(" ["));
        let default = default.map_or("", |(_, default)| default).to_string();
        Some((name.to_string(), (value.trim().to_string(), default)))
    };
    text.lines().filter_map(option).collect()
}

/// The items of the manual's description, `.It Fl -name Ar VALUE`, with what stands below.
fn described() -> Options {
    let text = fs::read_to_string(manual()).expect("read the manual");
    let (_, description) = text.split_once(".Sh DESCRIPTION\n").expect("a description");
    let (description, _) = description.split_once("\n.Sh ").expect("what follows");
    let item = |item: &str| {
        let (head, text) = item.split_once('\n')?;
        let (name, value) = head.split_once(" Ar ").unwrap_or((head, ""));
        Some((name.to_string(), (value.to_string(), text.to_string())))
    };
    description.split("\n.It Fl -").skip(1).filter_map(item).collect()
}

#[test]
fn help_and_manual_have_the_same_options() {
    let (helped, described) = (helped(), described());
    let names = |options: &Options| options.iter().map(|(n, (v, _))| (n.clone(), v.clone())).collect::<BTreeSet<_>>();
    assert_eq!(names(&helped), names(&described), "--help, and the manual: name and value");
    assert!(helped.len() > 18, "{helped:?}");
    let mut found = 0;
    for (name, (_, default)) in helped {
        // What is taken from a variable has no default: its name stands there.
        let default = default.trim_start_matches('$');
        let text = &described[&name].1;
        assert!(default.is_empty() || text.contains(default), "{name}: {default} is not in the manual");
        found += usize::from(!default.is_empty());
    }
    assert!(found >= 7, "{found} options have a default");
}

#[test]
fn mandoc_finds_nothing_wrong() {
    let Some(mandoc) = peer("mandoc") else { return };
    let output = Command::new(mandoc).args(["-T", "lint", "-W", "warning"]).arg(manual()).output().expect("run mandoc");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}

/// Runs a test over each way that there is.
fn everywhere(site: &Scratch, options: &[&str], test: impl Fn(&Server)) {
    for launcher in Launcher::ALL {
        if let Some(server) = launcher.http(site.path(), options) {
            test(&server);
        }
    }
}

#[test]
fn a_directory_as_its_argument() {
    let site = Scratch::new();
    site.file("index.html", "at once");
    site.file("default/index.html", "of a host");
    everywhere(&site, &[], |server| assert_eq!(server.connect().get("/").expect(200).text(), "at once"));
    everywhere(&site, &["--vhosts"], |server| assert_eq!(server.connect().get("/").expect(200).text(), "of a host"));
}

/// RFC 9110 section 12.4.1 leaves the choice, and a file is of more use than an error.
#[test]
fn nothing_is_unacceptable() {
    let site = Scratch::new();
    site.file("a.gif", "gif");
    everywhere(&site, &[], |server| {
        for accept in ["text/html", "image/gif;q=0", "*/*;q=0", "nonsense"] {
            let response = server.connect().request("GET", "/a.gif", &format!("Accept: {accept}\r\n"));
            assert_eq!(response.expect(200).text(), "gif", "{accept}");
        }
    });
}

#[test]
fn a_colon_is_no_dot() {
    let site = Scratch::new();
    site.file(".secret", "hidden");
    site.file(":name", "a colon");
    everywhere(&site, &[], |server| {
        let mut client = server.connect();
        assert_eq!(client.get("/:name").expect(200).text(), "a colon");
        for hidden in ["/.secret", "/.name", "/:secret"] {
            client.get(hidden).expect(404);
        }
    });
}

#[test]
fn no_agent_is_kept_waiting() {
    let site = Scratch::new();
    site.file("index.html", "for all");
    everywhere(&site, &[], |server| {
        let response = server.connect().request("GET", "/", "User-Agent: EmailSiphon\r\n").expect(200);
        assert_eq!(response.text(), "for all");
    });
}

/// What the executable says to this request, on its output and in its log, in this environment.
fn said(program: &str, root: &Path, environment: &[(&str, &str)], request: &str) -> (String, String) {
    let mut command = Command::new(handler(program));
    command.arg(root).envs(environment.iter().copied()).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start it");
    child.stdin.take().expect("its input").write_all(request.as_bytes()).expect("ask");
    let output = child.wait_with_output().expect("wait for it");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_environment_says_where() {
    let site = Scratch::new();
    site.file("here", "");
    let locations = |environment: &[(&str, &str)]| {
        let (answer, _) = said("tine-http", site.path(), environment, "GET /away?x HTTP/1.0\r\n\r\n");
        let location = answer.lines().find_map(|line| line.strip_prefix("Location: ")).map(String::from);
        let (answer, _) = said("tine-http", site.path(), environment, "GET /here HTTP/1.0\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        location
    };
    assert_eq!(locations(&[]), None);
    assert_eq!(locations(&[("REDIRECT_HOST", "h.example")]).as_deref(), Some("http://h.example/away?x"));
    assert_eq!(locations(&[("REDIRECT_URI", "/u")]).as_deref(), Some("/u"));
    let both = [("REDIRECT_HOST", "h.example"), ("REDIRECT_URI", "/u")];
    assert_eq!(locations(&both).as_deref(), Some("http://h.example/u"));
}

/// As ucspi-ssl's sslserver tells them, and a tcpserver.
#[test]
fn the_protocol_names_the_variables() {
    let site = Scratch::new();
    let tcp = [("TCPREMOTEIP", "192.0.2.1"), ("TCPREMOTEPORT", "1")];
    let ssl = [("SSLREMOTEIP", "192.0.2.2"), ("SSLREMOTEPORT", "2")];
    for (environment, client) in [
        (tcp.to_vec(), "192.0.2.1"),
        ([&tcp[..], &[("PROTO", "TCP")]].concat(), "192.0.2.1"),
        ([&tcp[..], &ssl, &[("PROTO", "SSL")]].concat(), "192.0.2.2"),
        ([&tcp[..], &ssl].concat(), "192.0.2.1"),
    ] {
        let (_, log) = said("tine-http", site.path(), &environment, "GET / HTTP/1.0\r\n\r\n");
        assert!(log.starts_with(&format!("{client} - - [")), "{environment:?}: {log}");
    }
    // A host's directory is chosen by the port that this protocol names.
    site.file("h:443/index.html", "over there");
    let mut command = Command::new(handler("tine-http"));
    command.args(["--quiet", "--vhosts"]).arg(site.path()).envs([("PROTO", "SSL"), ("SSLLOCALIP", "192.0.2.9")]);
    command.envs([("SSLLOCALPORT", "443"), ("SSLREMOTEIP", "192.0.2.2"), ("TCPLOCALPORT", "80"), ("TCPLOCALIP", "::")]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("start it");
    child.stdin.take().expect("its input").write_all(b"GET / HTTP/1.0\r\nHost: H\r\n\r\n").expect("ask");
    let output = child.wait_with_output().expect("wait for it");
    assert!(output.stdout.ends_with(b"over there"), "{}", String::from_utf8_lossy(&output.stdout));
}
