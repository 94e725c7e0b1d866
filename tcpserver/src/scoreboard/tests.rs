use std::os::fd::OwnedFd;

use super::*;
use crate::children::Child;
use crate::reap::Ended;

fn board(children: usize) -> Board {
    Board::new(Manner::Prefork, children).unwrap()
}

fn view(board: &Board) -> io::Result<View> {
    View::open(board.shared.file().try_clone_to_owned()?)
}

#[test]
fn a_slot_gives_back_the_peer() {
    let board = board(3);
    let slot = board.slot(2);
    assert!(!slot.is_busy());
    for peer in ["192.0.2.1:0", "[2001:db8::1]:65535", "127.0.0.1:80"] {
        let peer = Some(peer.parse().unwrap());
        slot.begin(peer);
        assert_eq!((slot.is_busy(), slot.peer()), (true, peer));
        slot.end();
        assert_eq!((slot.is_busy(), slot.peer()), (false, None));
    }
    slot.begin(None);
    assert_eq!((slot.is_busy(), slot.peer(), slot.taken()), (true, None, 4));
}

#[test]
fn what_is_handed_out_is_that_page_and_a_clean_one() {
    let board = board(3);
    let own = board.own().unwrap();
    for place in [0, 2, 1] {
        board.slot(place).begin(None);
        board.hand_out(place).unwrap();
        assert_eq!((own.is_busy(), own.taken()), (false, 0));
        own.begin(None);
        own.progress().request(b"a request");
        let slot = board.slot(place);
        assert_eq!((slot.is_busy(), slot.taken(), slot.progress().counts().0), (true, 1, 1));
    }
    assert!(board.hand_out(0).is_ok() && board.slot(1).is_busy(), "the others keep theirs");
}

#[test]
fn claims_are_bounded_by_what_is_possible() {
    let board = board(1);
    let slot = board.slot(0);
    slot.progress().sent(u64::MAX);
    slot.begin(None);
    assert_eq!(slot.claims(0), [1, 0, 100_000_000_000]);
    assert_eq!(slot.claims(u64::MAX)[2], u64::MAX);
}

#[test]
fn others_see_the_same() {
    let board = board(5);
    let mut books = Books::new(Some(Box::leak(Box::new(board))), false);
    let board = books.board.unwrap();
    let child = Child { pid: 77, slot: 3, started: 12, ..Child::default() };
    books.joined(&child, 0);
    board.slot(3).begin(Some("192.0.2.1:99".parse().unwrap()));
    let view = view(board).unwrap();
    assert_eq!((view.header().pid(), view.header().limit()), (std::process::id().into(), 5));
    assert_eq!(view.header().manner(), Some(Manner::Prefork));
    let children = || view.children().map(|(row, slot)| (row.pid(), slot.unwrap().peer())).collect::<Vec<_>>();
    assert_eq!(children(), [(Some(77), Some("192.0.2.1:99".parse().unwrap()))]);
    let ended = Ended { pid: 77, status: 0, usage: crate::reap::Usage::default() };
    books.ended(&child, &ended, 5_000_000);
    assert_eq!(children(), []);
    let counters = &view.header().counters;
    assert_eq!((counters.made.get(), counters.exits[0].get(), counters.retired[0].get()), (1, 1, 1));
}

/// In the modes fork and vfork places are given as children come, and never more than there were at once.
#[test]
fn places_are_used_again() {
    let board = Box::leak(Box::new(Board::new(Manner::Fork, 4).unwrap()));
    let mut books = Books::new(Some(board), false);
    let peer = Some("192.0.2.1:99".parse().unwrap());
    for round in 0..10 {
        let places: Vec<u32> = (1..=4).map(|pid| books.began((pid, peer), 0, round)).collect();
        let mut sorted = places.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 2, 3]);
        let view = view(board).unwrap();
        assert!(view.children().all(|(row, slot)| slot.is_none() && row.client() == Some(peer)));
        assert_eq!(view.children().count(), 4);
        for (pid, slot) in (1..=4).zip(places) {
            let ended = Ended { pid, status: 0, usage: crate::reap::Usage::default() };
            books.ended(&Child { pid, slot, peer, ..Child::default() }, &ended, 1);
        }
    }
    assert_eq!(view(board).unwrap().children().count(), 0);
}

#[test]
fn what_is_no_scoreboard_is_not_read() {
    let kind = |file: OwnedFd| View::open(file).err().map(|error| error.kind());
    let null = std::fs::File::open("/dev/null").unwrap();
    assert_eq!(kind(null.into()), Some(io::ErrorKind::InvalidData));
    let empty = nix::sys::memfd::memfd_create(NAME, nix::sys::memfd::MFdFlags::empty()).unwrap();
    assert_eq!(kind(empty), Some(io::ErrorKind::InvalidData));
    // Without seals it could shrink under whoever looks.
    let open = nix::sys::memfd::memfd_create(NAME, nix::sys::memfd::MFdFlags::MFD_ALLOW_SEALING).unwrap();
    nix::unistd::ftruncate(&open, 1 << 20).unwrap();
    assert_eq!(kind(open), Some(io::ErrorKind::InvalidData));
    let shared = Shared::create(NAME, 2, 2).unwrap();
    assert_eq!(kind(shared.file().try_clone_to_owned().unwrap()), Some(io::ErrorKind::InvalidData));
    // A header that says more than there is.
    shared.header().set_up(Manner::Prefork, 2, 2, 3, 1);
    assert_eq!(kind(shared.file().try_clone_to_owned().unwrap()), Some(io::ErrorKind::InvalidData));
    shared.header().set_up(Manner::Prefork, 2, usize::MAX, usize::MAX, 1);
    assert_eq!(kind(shared.file().try_clone_to_owned().unwrap()), Some(io::ErrorKind::InvalidData));
    shared.header().set_up(Manner::Prefork, 2, 2, 2, 1);
    assert_eq!(kind(shared.file().try_clone_to_owned().unwrap()), None);
}
