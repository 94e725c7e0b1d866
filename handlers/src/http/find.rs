//! From a path to what is served for it: a host's directory, names that stand for others, the cache, siblings.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};

use super::cache::{Hit, Keep};
use super::file::{self, Found, Meta};
use super::mime::Kind;
use super::negotiate::{self, Coding};
use super::path::Path;
use super::request::{Field, Request};
use super::status::Status;
use super::vhost::{self, Place};
use super::{auth, made, mime};
use crate::Settings;
use crate::io::Stream;

/// What a path names.
pub(crate) enum Named<'t> {
    /// A file.
    File(Representation<'t>),
    /// A directory, or the name of one without its slash.
    Directory,
    /// A script, whose path is the first so many bytes of the path; what follows is for it.
    Script(usize),
    /// Its host lives elsewhere: the path is that of a link which says where.
    Elsewhere,
}

/// A file, as it is sent to this client.
pub(crate) struct Representation<'t> {
    pub(crate) content: Content,
    pub(crate) meta: Meta,
    /// Its media type.
    pub(crate) kind: &'t [u8],
    /// The content coding that it is in.
    pub(crate) coding: Option<Coding>,
    /// The field of the request that chose it among others, if there are others; else empty.
    pub(crate) varies: &'static str,
}

/// Where the bytes of a file are.
pub(crate) enum Content {
    Kept(Hit),
    Open(OwnedFd),
}

/// Finds what a request asks for. The directory of its host is left in `directory`, if hosts have one.
#[inline(never)]
pub(crate) fn find<'t, K: Keep>(
    settings: &Settings<'t>,
    root: BorrowedFd<'_>,
    kept: &mut K,
    stream: &Stream<'_>,
    path: &mut Path<'_>,
    request: &Request<'_>,
    directory: &mut Option<OwnedFd>,
) -> Result<Named<'t>, Status> {
    path.clear();
    if settings.vhosts {
        match vhost::find(root, path, request.host, stream.connection.local.port())? {
            Place::Directory(found) => *directory = Some(found),
            Place::Elsewhere => return Ok(Named::Elsewhere),
        }
    }
    path.resolve(request.path)?;
    let root = directory.as_ref().map_or(root, AsFd::as_fd);
    if K::MAKES && settings.made.is_guarded() {
        auth::admit(settings, kept.known(), stream.connection, root, path, request)?;
    }
    if K::MAKES
        && let Some(len) = made::find(settings, root, path, request)?
    {
        return Ok(Named::Script(len));
    }
    // What is looked for behind the path: the names of an index, or nothing and `.html`.
    let endings = match path.is_directory() {
        true => settings.index,
        // fnord's way out of an old format.
        false if path.as_bytes().ends_with(b".gif") && negotiate::accepts(request, b"image/png") => {
            path.retract(4);
            b".png .gif"
        }
        false if settings.clean_urls => b" .html",
        false => b"",
    };
    for ending in endings.split(|&byte| byte == b' ') {
        path.append(ending)?;
        if K::MAKES
            && let Some(len) = made::find_index(settings, root, path, request)?
        {
            return Ok(Named::Script(len));
        }
        match file(settings, kept, stream, root, path, request) {
            Ok(None) if ending.is_empty() => return Ok(Named::Directory),
            Ok(Some(file)) if ending == b".png" => return Ok(Named::File(Representation { varies: "Accept", ..file })),
            Ok(Some(file)) => return Ok(Named::File(file)),
            Ok(None) | Err(Status::NotFound) => {}
            Err(status) => return Err(status),
        }
    }
    if path.is_directory() {
        path.append(made::INDEX)?;
        if K::MAKES
            && let Some(len) = made::find_index(settings, root, path, request)?
        {
            return Ok(Named::Script(len));
        }
        return Ok(Named::Directory);
    }
    path.settle();
    Err(Status::NotFound)
}

/// The file of that very path, or a sibling; `None` when it is a directory.
#[inline(never)]
fn file<'t, K: Keep>(
    settings: &Settings<'t>,
    kept: &mut K,
    stream: &Stream<'_>,
    directory: BorrowedFd<'_>,
    path: &mut Path<'_>,
    request: &Request<'_>,
) -> Result<Option<Representation<'t>>, Status> {
    // Who does not speak of codings costs no look for them.
    let probe = request.value(Field::AcceptEncoding).is_some();
    let types = settings.types;
    let Some(Looked { content, meta, kind, siblings }) = look(kept, stream, directory, path, types, probe)? else {
        return Ok(None);
    };
    let siblings = siblings.unwrap_or_default();
    let varies = if siblings == 0 { "" } else { "Accept-Encoding" };
    let mut found = Representation { content, meta, kind: kind.text(types), coding: None, varies };
    if let Some(coding) = negotiate::choose(request, siblings) {
        path.settle();
        path.append(coding.ending())?;
        // If it is gone meanwhile, the file as it is will do.
        if let Ok(Some(Looked { content, meta, .. })) = look(kept, stream, directory, path, types, false) {
            found = Representation { content, meta, coding: Some(coding), ..found };
        }
    }
    Ok(Some(found))
}

/// What is known of a file.
struct Looked {
    content: Content,
    meta: Meta,
    kind: Kind,
    /// The codings in which it has a sibling, as a set, if that was asked.
    siblings: Option<u8>,
}

/// The file of that very path, from the cache or opened, and its siblings if that is asked.
#[inline(never)]
fn look<K: Keep>(
    kept: &mut K,
    stream: &Stream<'_>,
    directory: BorrowedFd<'_>,
    path: &mut Path<'_>,
    types: &[u8],
    probe: bool,
) -> Result<Option<Looked>, Status> {
    let hit = kept.cache().and_then(|cache| cache.find(path.key(), stream.now()));
    let mut siblings = hit.and_then(|hit| hit.siblings);
    if let Some(hit) = hit.filter(|hit| hit.is_whole() && (siblings.is_some() || !probe)) {
        let (content, Hit { meta, kind, .. }) = (Content::Kept(hit), hit);
        return Ok(Some(Looked { content, meta, kind, siblings }));
    }
    let Found::File(open, meta) = file::open(directory, path.as_c_str())? else { return Ok(None) };
    let kind = mime::of(path.as_bytes(), types);
    if probe && siblings.is_none() {
        let compressed = negotiate::is_compressed(kind.text(types));
        siblings = Some(if compressed { 0 } else { self::siblings(directory, path, &meta)? });
    }
    if let Some(cache) = kept.cache() {
        let fill = |buffer: &mut [u8]| file::read(&open, buffer, 0) == Ok(buffer.len());
        if let Some(hit) = cache.keep(path.key(), meta, siblings, kind, stream.now(), fill) {
            return Ok(Some(Looked { content: Content::Kept(hit), meta, kind, siblings }));
        }
    }
    Ok(Some(Looked { content: Content::Open(open), meta, kind, siblings }))
}

/// The codings in which a file has a sibling that is not older than itself: one that was forgotten when the file was
/// written anew is none.
#[inline(never)]
fn siblings(directory: BorrowedFd<'_>, path: &mut Path<'_>, meta: &Meta) -> Result<u8, Status> {
    let mut siblings = 0;
    path.settle();
    for coding in Coding::all() {
        path.append(coding.ending())?;
        // Whole seconds: some who compress keep no more of the time.
        if let Ok(Found::File(_, sibling)) = file::open(directory, path.as_c_str())
            && sibling.modified >= meta.modified
        {
            siblings |= coding.bit();
        }
    }
    path.append(b"")?;
    Ok(siblings)
}
