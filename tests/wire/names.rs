//! Names that stand for others: indexes, pages without their ending; and types by the ending.

use crate::{Wire, site::Site};

everywhere! {
    options: super::options;
    the_first_index_that_is_there_is_served
    html_may_be_left_out
    types_of_ones_own_come_first
}

fn options(site: &Site) -> Vec<String> {
    let types = site.outside("mime.types", "# types\ntext/x-hello\ttxt\ntypes {\n    application/x-own  own bin;\n}\n");
    // openbsd-inetd splits its lines at blanks, and nothing quotes them.
    vec!["--clean-urls".into(), "--index=home.html".into(), format!("--mime-types={}", types.display())]
}

fn the_first_index_that_is_there_is_served(wire: &Wire) {
    let mut client = wire.connect();
    client.get("/").expect(404);
    wire.site.file("home.html", "home");
    assert_eq!(client.get("/").expect(200).text(), "home");
    assert!(client.get("/index.html").expect(200).text().contains("home"));
}

fn html_may_be_left_out(wire: &Wire) {
    wire.site.file("about.html", "about us");
    wire.site.file("v1.2.html", "a version");
    wire.site.file("sub.html", "not the directory");
    wire.site.file("hello.txt.html", "not the file");
    let mut client = wire.connect();
    for (path, body) in [
        ("/about", "about us"),
        ("/about?a=b", "about us"),
        ("/about.html", "about us"),
        ("/v1.2", "a version"),
        ("/hello.txt", crate::site::HELLO),
    ] {
        assert_eq!(client.get(path).expect(200).text(), body, "{path}");
    }
    assert_eq!(client.get("/about").expect_header("content-type"), "text/html; charset=utf-8");
    assert_eq!(client.get("/sub").expect(301).expect_header("location"), "./sub/");
    client.get("/about/").expect(404);
    client.get("/.hidden").expect(404);
    let response = client.request("GET", "/all", "Accept-Encoding: gzip\r\n").expect(200);
    assert_eq!(response.text(), "this is all.html.gz");
}

fn types_of_ones_own_come_first(wire: &Wire) {
    wire.site.file("a.own", "x");
    let mut client = wire.connect();
    for (path, kind) in [
        ("/hello.txt", "text/x-hello; charset=utf-8"),
        ("/a.own", "application/x-own"),
        ("/large.bin", "application/x-own"),
        ("/style.css", "text/css; charset=utf-8"),
    ] {
        assert_eq!(client.get(path).expect(200).expect_header("content-type"), kind, "{path}");
    }
}

mod several {
    use crate::{
        Wire,
        common::{Launcher, Mode},
        site::Site,
    };

    /// Blanks in options: for the launchers that can carry them.
    #[test]
    fn an_index_may_have_several_names() {
        for mode in Mode::ALL {
            let options = |_: &Site| vec!["--index".into(), "home.html index.html inner.txt".into()];
            crate::run(Launcher::Serve(mode), options, several);
        }
        let options = |_: &Site| vec!["--index".into(), "home.html index.html inner.txt".into()];
        crate::run(Launcher::TcpserverExecutable, options, several);
    }

    fn several(wire: &Wire) {
        let mut client = wire.connect();
        for (path, name) in [("/", "index.html"), ("/bare/", "bare/inner.txt"), ("/sub/", "sub/index.html")] {
            assert_eq!(client.get(path).expect(200).body, wire.site.read(name), "{path}");
        }
        client.get("/sub/deep/").expect(404);
        wire.site.file("home.html", "home");
        wire.connect().get("/nothing").expect(404);
        crate::common::wait_until("the first is seen", || client.get("/").expect(200).text() == "home");
    }
}
