//! The examples in `etc/` work as they stand: only the places are moved (programs, site, port, and the user where the
//! build directory is closed to nobody).

#[path = "../common/mod.rs"]
mod common;

mod container;
mod systemd;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Client, Scratch, Server, launch, peer, run as run_command, scratch, tine};

/// Each file of `etc/`, and where it is run as it stands.
const EXAMPLES: [(&str, &str); 20] = [
    ("container/Containerfile", "tests/etc/container.rs: an_image_of_static_executables"),
    ("haproxy-two-backends.cfg", "tests/backends.rs: one_is_restarted_and_one_is_killed"),
    ("haproxy.cfg", "tests/clients/haproxy.rs: in_front"),
    ("inetd.conf", "tests/etc/main.rs: inetd_conf"),
    ("kubernetes.yaml", "tests/etc/container.rs: a_pod"),
    ("logrotate.d/tine", "tests/etc/main.rs: logrotate"),
    ("nginx.conf", "tests/clients/nginx.rs: in_front"),
    // By hand, in a root of its own: Debian's openrc cannot be installed beside its systemd.
    ("openrc/tine", ""),
    // By hand, in two places: it builds everything.
    ("release", ""),
    ("run", "tests/etc/main.rs: run"),
    ("run-tcpserver", "tests/etc/main.rs: run_tcpserver"),
    ("sbom", "tests/etc/main.rs: what_is_linked_in"),
    ("service/log/run", "tcpserver/tests/services.rs: under_daemontools"),
    ("service/run", "tcpserver/tests/services.rs: under_daemontools"),
    ("site/index.html", "tests/etc/main.rs: the_site"),
    ("systemd/tine-http.socket", "tests/etc/systemd.rs: systemd_accepts_them"),
    ("systemd/tine-http@.service", "tests/etc/systemd.rs: a_service_for_each_connection"),
    ("systemd/tine.service", "tests/etc/systemd.rs: what_they_forbid_is_not_needed"),
    ("systemd/tine.socket", "tests/etc/systemd.rs: systemd_accepts_them"),
    ("xinetd.d/tine-http", "tests/etc/main.rs: xinetd"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What is new in `etc/` has a test, or a reason in the table.
#[test]
fn each_example_is_run() {
    let mut left = vec![root().join("etc")];
    let mut found = BTreeSet::new();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(path).expect("list etc/").map(|entry| entry.expect("an entry").path()));
        } else {
            let name = path.strip_prefix(root().join("etc")).expect("below it");
            found.insert(name.to_str().expect("UTF-8").to_owned());
        }
    }
    assert_eq!(found, EXAMPLES.iter().map(|(name, _)| (*name).to_owned()).collect(), "the files, and the table");
    for (name, test) in EXAMPLES.iter().filter(|(_, test)| !test.is_empty()) {
        let (file, function) = test.split_once(": ").expect("a file and a function");
        let text = fs::read_to_string(root().join(file)).expect("read the tests");
        assert!(text.contains(&format!("#[test]\nfn {function}()")), "{name}: there is no {test}");
    }
}

#[test]
fn the_site() {
    let site = root().join("etc/site");
    let mut command = Command::new(tine());
    command.args(["serve", "--listen", "127.0.0.1:0"]).args(launch::user(Some(&site))).arg(&site);
    let server = Server::ready(command);
    assert!(server.connect().get("/").expect(200).text().contains("<h1>It works</h1>"));
}

/// The list of a release names what is linked in, and nothing of the tests; and it is the same each time.
#[test]
fn what_is_linked_in() {
    let Some(python) = peer("python3") else { return };
    let write = || {
        let place = Scratch::new();
        let output = run_command(Command::new(&python).arg(root().join("etc/sbom")).arg(place.path()));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        ["sbom.cdx.json", "THIRD-PARTY"].map(|name| fs::read_to_string(place.join(name)).expect("it was written"))
    };
    let [list, licences] = write();
    for part in ["pkg:cargo/rustix@", "pkg:cargo/tcpserver@", "\"glibc\"", "\"rust-std\""] {
        assert!(list.contains(part), "{part}");
    }
    assert!(!list.contains("proptest") && !list.contains("syn@") && !list.contains(env!("CARGO_MANIFEST_DIR")));
    assert!(licences.contains("\nrustix ") && licences.contains("Permission is hereby granted"));
    assert_eq!([list, licences], write());
}

/// An example, with its places moved.
fn example(name: &str, site: &Path) -> String {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("etc").join(name)).expect("read the example");
    let programs = tine().parent().expect("a directory").display().to_string();
    assert!(text.contains("/usr/local/bin/tine") && text.contains("/srv/www"), "{name} names other places");
    let moved = text.replace("/usr/local/bin", &programs).replace("/srv/www", &site.display().to_string());
    match launch::user(Some(site)).next() {
        Some(_) => moved.replace("nobody", "root").replace("65534", "0"),
        None => moved,
    }
}

fn site() -> Scratch {
    let site = Scratch::new();
    site.file("index.html", "an example\n");
    site
}

fn script(name: &str, site: &Scratch, port: &str, moved: &str) -> Command {
    let place = Scratch::new();
    let text = example(name, site.path());
    assert!(text.contains(port), "{name} says another port");
    let path = place.file("run", text.replace(port, moved));
    scratch::set_mode(&path, 0o755);
    // The directory stays until the server has read it.
    std::mem::forget(place);
    Command::new(path)
}

#[test]
fn run() {
    if !scratch::is_root() {
        // It becomes nobody, which takes root.
        return common::say("skipped: etc/run is for a service that root starts");
    }
    let site = site();
    let server = Server::ready(script("run", &site, "'[::]:80'", "127.0.0.1:0"));
    assert_eq!(server.connect().get("/").expect(200).text(), "an example\n");
}

#[test]
fn run_tcpserver() {
    if peer("tcpserver").is_none() || !scratch::is_root() {
        return common::say("skipped: etc/run-tcpserver needs tcpserver, and root to start it");
    }
    let site = site();
    let port = launch::free_port();
    let server = Server::listening(script("run-tcpserver", &site, " 0 80 ", &format!(" 127.0.0.1 {port} ")), port);
    assert_eq!(server.connect().get("/").expect(200).text(), "an example\n");
}

#[test]
fn inetd_conf() {
    let Some(inetd) = peer("inetd") else { return };
    if !scratch::is_root() {
        return common::say("skipped: etc/inetd.conf names nobody, which takes root");
    }
    let site = site();
    let mut ports = Vec::new();
    let mut lines = String::new();
    for line in example("inetd.conf", site.path()).lines().filter(|line| !line.starts_with('#')) {
        let (service, rest) = line.split_once(' ').expect("a service and its line");
        let port = launch::free_port();
        lines += &format!("127.0.0.1:{port} {rest}\n");
        ports.push((service.to_owned(), port));
    }
    let mut command = Command::new(inetd);
    command.arg("-i").arg(Scratch::file(&site, "inetd.conf", lines));
    let server = Server::listening(command, ports[0].1);
    assert_eq!(server.connect().get("/").expect(200).text(), "an example\n");
    for (service, port) in &ports[1..] {
        common::wait_until("inetd listens", || common::process::listens(*port));
        let mut client = Client::connect(([127, 0, 0, 1], *port).into());
        let answer = match service.as_str() {
            "echo" => {
                client.send("hello");
                client.take(5).expect("the same")
            }
            "discard" => {
                client.send("hello");
                client.finish();
                client.rest().expect("the end")
            }
            "time" => client.take(4).expect("a number"),
            "daytime" | "chargen" => client.take(20).expect("text"),
            other => panic!("etc/inetd.conf has a service that is not tried: {other}"),
        };
        assert_eq!(answer.is_empty(), service == "discard", "{service}");
    }
}

/// A program of a package that cannot be installed beside another: it is unpacked, and the variable says where.
#[track_caller]
fn unpacked(variable: &str, program: &str) -> Option<PathBuf> {
    let found = std::env::var_os(variable).map(|place| PathBuf::from(place).join(program));
    if found.is_none() {
        assert!(!common::peers::required(), "{variable} is not set, and TINE_PEERS=required asks for it");
        common::say(&format!("SKIPPED what needs {program}: {variable} does not say where it is (see .ci/run)"));
    }
    found
}

#[test]
fn xinetd() {
    let Some(xinetd) = unpacked("TINE_XINETD", "usr/sbin/xinetd") else { return };
    if !scratch::is_root() {
        return common::say("skipped: etc/xinetd.d/tine-http names nobody, which takes root");
    }
    let site = site();
    let port = launch::free_port();
    let text = example("xinetd.d/tine-http", site.path());
    assert!(text.contains("    port            = 80\n"));
    let text = text.replace("= 80\n", &format!("= {port}\n    bind            = 127.0.0.1\n"));
    let mut command = Command::new(xinetd);
    command.args(["-dontfork", "-f"]).arg(site.file("xinetd.conf", text));
    let server = Server::listening(command, port);
    for _ in 0..3 {
        assert_eq!(server.connect().get("/").expect(200).text(), "an example\n");
    }
}

/// The service directory of `etc/run` under s6, which ends it by SIGTERM.
#[test]
fn s6() {
    let Some(supervise) = peer("s6-supervise") else { return };
    if !scratch::is_root() {
        return common::say("skipped: etc/run is for a service that root starts");
    }
    let site = site();
    let port = launch::free_port();
    let text = example("run", site.path());
    let run = site.file("service/run", text.replace("'[::]:80'", &format!("127.0.0.1:{port}")));
    scratch::set_mode(&run, 0o755);
    let mut command = Command::new(supervise);
    command.arg(site.join("service"));
    let mut server = Server::listening(command, port);
    assert_eq!(server.connect().get("/").expect(200).text(), "an example\n");
    let tell = peer("s6-svc").expect("it comes with s6-supervise");
    assert!(run_command(Command::new(tell).arg("-xd").arg(site.join("service"))).status.success());
    assert!(server.wait().success(), "{}", server.log());
    assert!(!common::process::listens(port), "the service has ended with its supervisor");
}

/// The log is turned under a client's eyes: what follows is in the new file, and systemctl is asked for nothing else.
#[test]
fn logrotate() {
    let Some(logrotate) = peer("logrotate") else { return };
    let site = site();
    let log = site.join("access.log");
    let mut command = Command::new(tine());
    command.args(["serve", "--listen", "127.0.0.1:0", "--log"]).arg(&log);
    command.args(launch::user(Some(site.path()))).arg(site.path());
    let server = Server::ready(command);
    let shows = |file: &Path, line: &str| fs::read_to_string(file).is_ok_and(|text| text.contains(line));
    let mut kept = server.connect();
    kept.get("/before").expect(404);
    common::wait_until("it is logged", || shows(&log, "GET /before"));
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/logrotate.d/tine")).expect("read it");
    assert!(text.contains("/var/log/tine/access.log") && text.contains("systemctl reload tine.service"));
    // systemd does no more for a reload than the unit says.
    let reload = format!("kill -HUP {}", server.pid());
    let text = text.replace("/var/log/tine/access.log", &log.display().to_string());
    let text = text.replace("systemctl reload tine.service", &reload);
    assert!(text.contains("create 0640 tine adm"), "the new file is for the one who serves");
    let text = text.replace("tine adm", if scratch::is_root() { "nobody nogroup" } else { "" });
    let rules = site.file("logrotate.conf", text);
    scratch::set_mode(&rules, 0o644);
    // It does not trust a directory that others may write to.
    scratch::set_mode(site.path(), 0o755);
    let output = run_command(Command::new(logrotate).arg("--force").arg("--state").arg(site.join("state")).arg(&rules));
    assert!(output.status.success(), "{output:?}");
    let old = site.join("access.log.1");
    assert!(shows(&old, "GET /before"), "it was turned");
    kept.get("/during").expect(404);
    common::wait_until("the kept connection's is in one of them", || {
        shows(&old, "GET /during") || shows(&log, "GET /during")
    });
    common::wait_until("the new file has the new ones", || {
        server.connect().get("/after").expect(404);
        shows(&log, "GET /after")
    });
    assert!(!shows(&old, "unable"), "{}", fs::read_to_string(&old).unwrap_or_default());
}
