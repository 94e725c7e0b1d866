//! nginx in front, as `etc/nginx.conf` has it.

use crate::{
    Scratch, Server, client,
    common::launch::free_port,
    proxied::{example, expectations, site},
};

#[test]
fn in_front() {
    let Some(mut nginx) = client("nginx") else { return };
    let (place, port, backend) = (Scratch::new(), free_port(), free_port());
    let moves =
        [("listen 80;", format!("listen 127.0.0.1:{port};")), ("127.0.0.1:8080;", format!("127.0.0.1:{backend};"))];
    let moves: Vec<(&str, &str)> = moves.iter().map(|(from, to)| (*from, to.as_str())).collect();
    let at = place.path().display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("    {name}_temp_path {at}/{name};\n"))
        .collect();
    let configuration = format!(
        "daemon off;\nmaster_process off;\nerror_log stderr;\npid {at}/pid;\nevents {{}}\nhttp {{\n    access_log off;\n\
         {temporary}{}}}\n",
        example("nginx.conf", &moves)
    );
    nginx.arg("-c").arg(place.file("nginx.conf", configuration)).args(["-e", "stderr"]);
    let proxy = Server::listening(nginx, port);
    expectations(proxy.address(), &site(), backend);
}
