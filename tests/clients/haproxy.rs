//! HAProxy in front, as `etc/haproxy.cfg` has it.

use crate::{
    Scratch, Server, client,
    common::launch::free_port,
    proxied::{example, expectations, site},
};

#[test]
fn in_front() {
    let Some(mut haproxy) = client("haproxy") else { return };
    let (place, port, backend) = (Scratch::new(), free_port(), free_port());
    let (listen, server) = (format!("bind 127.0.0.1:{port}"), format!("127.0.0.1:{backend}"));
    let configuration = example("haproxy.cfg", &[("bind :80", &listen), ("127.0.0.1:8080", &server)]);
    haproxy.args(["-db", "-f"]).arg(place.file("haproxy.cfg", configuration));
    let proxy = Server::listening(haproxy, port);
    expectations(proxy.address(), &site(), backend);
}
