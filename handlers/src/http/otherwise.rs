//! When nothing is here: it may be elsewhere, or there is a page of the site's own that says so.

use core::mem::MaybeUninit;

use rustix::fd::{AsFd, BorrowedFd};

use super::answer::Reply;
use super::file::{self, Found};
use super::path::Path;
use super::range::Part;
use super::request::Request;
use super::response::{self, PAGE};
use super::status::Status;
use super::{mime, vhost};
use crate::io::Sent;
use crate::{Settings, Text};

/// The longest head of a redirect, which repeats its target.
const REDIRECT: usize = 6 << 10;

impl Reply<'_, '_> {
    /// What is not here may be elsewhere; or there is a page that says so.
    #[cold]
    #[inline(never)]
    pub(super) fn not_found(
        &mut self,
        directory: BorrowedFd<'_>,
        path: &mut Path<'_>,
        request: &Request<'_>,
        status: Status,
    ) -> Sent {
        let Settings { redirect_host, redirect_uri, index, .. } = *self.settings;
        if status == Status::NotFound {
            let ending = if path.is_directory() { index.split(|&byte| byte == b' ').next() } else { None };
            if path.append(ending.unwrap_or_default()).is_ok()
                && let Some(sent) = self.elsewhere(directory, path, request, b"")
            {
                return sent;
            }
            let (uri, query) =
                if redirect_uri.is_empty() { (request.path, request.query) } else { (redirect_uri, &b""[..]) };
            if !redirect_host.is_empty() {
                return self.redirect(&[b"http://", redirect_host, uri, query]);
            }
            // What is not found there either would be looked for again.
            if !redirect_uri.is_empty() && redirect_uri != request.path {
                return self.redirect(&[redirect_uri]);
            }
        }
        let mut name = [0; 8];
        let mut name = Text::new(&mut name);
        name.decimal(status.code().into()).str(".html");
        let own = matches!(status, Status::NotFound | Status::Forbidden) && path.set(name.as_bytes()).is_ok();
        match file::open(directory, path.as_c_str()) {
            Ok(Found::File(file, meta)) if own => {
                self.begin(status);
                response::end(
                    &mut self.head,
                    mime::of(path.as_bytes(), self.settings.types).text(self.settings.types),
                    meta.size,
                );
                if self.head_only {
                    self.send(&[])
                } else {
                    self.by_kernel(file.as_fd(), Part { first: 0, len: meta.size })
                }
            }
            _ => self.page(status),
        }
    }

    /// Redirects to where a link says, with a path behind it unless the link says that too; `None` if it is no such link.
    #[cold]
    #[inline(never)]
    pub(super) fn elsewhere(
        &mut self,
        directory: BorrowedFd<'_>,
        path: &Path<'_>,
        request: &Request<'_>,
        behind: &[u8],
    ) -> Option<Sent> {
        let mut space = [MaybeUninit::uninit(); vhost::LINK];
        let (url, all) = vhost::redirect(directory, path.as_c_str(), &mut space)?;
        let url = if behind.is_empty() { url } else { url.strip_suffix(b"/").unwrap_or(url) };
        let (behind, query) = if all { (&b""[..], &b""[..]) } else { (behind, request.query) };
        Some(self.redirect(&[url, behind, query]))
    }

    // A frame of its own: no other head grows with the target.
    #[cold]
    #[inline(never)]
    pub(super) fn redirect(&mut self, parts: &[&[u8]]) -> Sent {
        let mut space = [0; REDIRECT];
        let mut reply = Reply { head: Text::new(&mut space), ..*self };
        reply.begin(Status::MovedPermanently);
        response::location(&mut reply.head, parts);
        let mut page = [0; PAGE];
        let mut page = Text::new(&mut page);
        response::end_with_page(&mut reply.head, &mut page, reply.status);
        if reply.head.is_cut() {
            return self.page(Status::UriTooLong);
        }
        self.status = reply.status;
        reply.send(page.as_bytes())
    }
}
