//! The web client's files: compiled in, or read from a folder while somebody works on them
//! (protocol section 9).
//!
//! *Memory:* nothing is made before a browser asks; then a file is packed once, and that is kept.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use ring::digest::{Context, SHA256, digest};

/// Bytes of one file in a folder at most.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// What the document says in place of the version.
const PLACEHOLDER: &str = "@VERSION@";
const DOCUMENT: &str = "index.html";
/// The version of a folder's files, which change as they like.
const FOLDER_VERSION: &str = "dev";

macro_rules! files {
    ($($path:literal)*) => {
        &[$(($path, include_bytes!(concat!("../../assets/web/", $path)))),*]
    };
}

/// Each file's path below `assets/web`, and what is in it.
static FILES: &[(&str, &[u8])] = files![
    "app.js"
    "community.js"
    "dom.js"
    "index.html"
    "lang/de.js"
    "lang/en.js"
    "log.js"
    "main.js"
    "markdown.js"
    "outbox.js"
    "permissions.js"
    "picture.js"
    "protocol.js"
    "storage.js"
    "style/base.css"
    "style/views.css"
    "text.js"
    "views/audit.js"
    "views/channels.js"
    "views/completion.js"
    "views/composer.js"
    "views/login.js"
    "views/manage.js"
    "views/manage_bans.js"
    "views/manage_channel.js"
    "views/manage_groups.js"
    "views/manage_server.js"
    "views/members.js"
    "views/message.js"
    "views/messages.js"
    "views/permissions.js"
    "views/profile.js"
    "views/rich.js"
    "views/servers.js"
    "views/settings.js"
    "views/shell.js"
];

/// Where the files come from.
#[derive(Debug, Default)]
pub struct Assets {
    folder: Option<PathBuf>,
    compiled: OnceLock<Compiled>,
}

/// One file, as it may be sent.
#[derive(Debug, Clone)]
pub struct Asset<'a> {
    /// For `Content-Type`.
    pub content_type: &'static str,
    /// For `Cache-Control`.
    pub cache_control: &'static str,
    /// For `ETag`; none where the file may be another one at the next request, and comes as it is.
    pub etag: Option<String>,
    /// Whether the body is gzip's (RFC 1952).
    pub is_gzip: bool,
    /// The body.
    pub body: Cow<'a, [u8]>,
}

/// The compiled files, and the version that all of them together are.
#[derive(Debug)]
struct Compiled {
    version: String,
    files: Vec<CompiledFile>,
}

#[derive(Debug)]
struct CompiledFile {
    path: &'static str,
    content_type: &'static str,
    etag: String,
    body: Cow<'static, [u8]>,
    /// Where it is smaller.
    gzip: OnceLock<Option<Vec<u8>>>,
}

impl Assets {
    /// Reads `folder` at each request. Fails where there is no such folder.
    pub fn in_folder(folder: &Path) -> io::Result<Self> {
        let folder = folder.canonicalize()?;
        fs::read_dir(&folder)?;
        Ok(Self { folder: Some(folder), compiled: OnceLock::new() })
    }

    /// What a path of the server stands for: `/`, or a file below `/web/VERSION/`.
    pub fn find(&self, path: &str, takes_gzip: bool) -> Option<Asset<'_>> {
        match &self.folder {
            Some(folder) => find_in_folder(folder, file_of(path, FOLDER_VERSION)?),
            None => self.compiled.get_or_init(Compiled::new).find(path, takes_gzip),
        }
    }
}

/// The file that a path names.
fn file_of<'p>(path: &'p str, version: &str) -> Option<&'p str> {
    if path == "/" {
        return Some(DOCUMENT);
    }
    let (named, file) = path.strip_prefix("/web/")?.split_once('/')?;
    (named == version && file != DOCUMENT).then_some(file)
}

fn content_type(path: &str) -> Option<&'static str> {
    Some(match path.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        _ => return None,
    })
}

fn find_in_folder(folder: &Path, file: &str) -> Option<Asset<'static>> {
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    if !Path::new(file).components().all(is_plain) {
        return None;
    }
    // A link may lead out of the folder all the same, or to what is no file for browsers.
    let path = folder.join(file).canonicalize().ok().filter(|path| path.starts_with(folder))?;
    let content_type = content_type(path.to_str()?)?;
    // Of what is no file (a pipe, say) nothing is opened: that could wait for ever.
    if !fs::metadata(&path).ok()?.is_file() {
        return None;
    }
    let mut body = Vec::new();
    File::open(path).ok()?.take(FILE_BYTES_MAX + 1).read_to_end(&mut body).ok()?;
    if body.len() as u64 > FILE_BYTES_MAX {
        return None;
    }
    let body = if file == DOCUMENT { with_version(&body, FOLDER_VERSION) } else { body };
    Some(Asset {
        content_type,
        cache_control: "no-store",
        etag: None,
        is_gzip: false,
        body: Cow::Owned(body),
    })
}

fn with_version(document: &[u8], version: &str) -> Vec<u8> {
    String::from_utf8_lossy(document).replace(PLACEHOLDER, version).into_bytes()
}

impl Compiled {
    fn new() -> Self {
        let mut all = Context::new(&SHA256);
        for (path, body) in FILES {
            all.update(path.as_bytes());
            all.update(body);
        }
        let version = hex(all.finish().as_ref());
        let files = FILES.iter().filter_map(|(path, body)| {
            let body = match *path {
                DOCUMENT => Cow::Owned(with_version(body, &version)),
                _ => Cow::Borrowed(*body),
            };
            Some(CompiledFile {
                path,
                content_type: content_type(path)?,
                etag: hex(digest(&SHA256, &body).as_ref()),
                body,
                gzip: OnceLock::new(),
            })
        });
        let files = files.collect();
        Self { version, files }
    }

    fn find(&self, path: &str, takes_gzip: bool) -> Option<Asset<'_>> {
        let path = file_of(path, &self.version)?;
        let file = self.files.iter().find(|file| file.path == path)?;
        let gzip = if takes_gzip { file.gzip() } else { None };
        // RFC 9110 section 8.8.3: another form has another tag.
        let form = if gzip.is_some() { "-gzip" } else { "" };
        Some(Asset {
            content_type: file.content_type,
            cache_control: match path {
                DOCUMENT => "no-cache",
                // Its path is another one when anything changes.
                _ => "public, max-age=31536000, immutable",
            },
            etag: Some(format!("\"{}{form}\"", file.etag)),
            is_gzip: gzip.is_some(),
            body: Cow::Borrowed(gzip.unwrap_or(&file.body)),
        })
    }
}

impl CompiledFile {
    /// Packed, where that is smaller. The first who asks for it waits for the packing.
    fn gzip(&self) -> Option<&[u8]> {
        let packed = self.gzip.get_or_init(|| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(&self.body).ok()?;
            let mut gzip = encoder.finish().ok()?;
            gzip.shrink_to_fit();
            (gzip.len() < self.body.len()).then_some(gzip)
        });
        packed.as_deref()
    }
}

/// The first 64 bits.
fn hex(digest: &[u8]) -> String {
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What has to be read to know what runs in the browser.
    const BYTES_MAX: usize = 120 * 1024;

    fn list(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { list(&path) } else { vec![path] }).collect()
    }

    #[test]
    fn the_table_has_the_folders_files_and_they_are_small() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/web");
        let mut paths = list(&folder);
        paths.sort();
        let paths: Vec<_> = paths
            .iter()
            .map(|path| path.strip_prefix(&folder).unwrap().to_str().unwrap())
            .collect();
        let table: Vec<_> = FILES.iter().map(|(path, _)| *path).collect();
        assert_eq!(table, paths);
        assert!(paths.iter().all(|path| content_type(path).is_some()));
        let bytes: usize = FILES.iter().map(|(_, body)| body.len()).sum();
        assert!(bytes <= BYTES_MAX, "{bytes} bytes");
    }
}
