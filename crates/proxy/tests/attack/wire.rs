//! HTTP/1 requests read as strictly as RFC 9112 allows: what a proxy without any mercy would see in these bytes.
//!
//! The tests read both sides with it. What the proxy wrote to an application must be requests and nothing else; what it wrote must be among
//! the requests the client's bytes hold, in their order. It shares no code with the proxy, which is the point.

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// As it is written.
    pub(crate) target: String,
    pub(crate) host: String,
    pub(crate) body: Vec<u8>,
    /// Of its fields.
    pub(crate) names: Vec<String>,
    /// Of those behind its body.
    pub(crate) trailers: Vec<String>,
}

/// How the bytes end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// After a request.
    Whole,
    /// In a request; its head, if that came to its end.
    Partial(Option<Box<Request>>),
    /// In something that is no request, or one with two readings.
    Broken(&'static str),
}

/// What some bytes hold.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) requests: Vec<Request>,
    pub(crate) end: End,
    /// Where the last of the requests ends.
    pub(crate) length: usize,
}

/// The requests in `bytes`, in order, and what comes after them.
pub(crate) fn requests(bytes: &[u8]) -> Reading {
    let mut reader = Reader { bytes, trailers: Vec::new() };
    let mut requests = Vec::new();
    loop {
        while let Some(rest) = reader.bytes.strip_prefix(b"\r\n") {
            reader.bytes = rest;
        }
        let length = bytes.len() - reader.bytes.len();
        if reader.bytes.is_empty() {
            return Reading { requests, end: End::Whole, length };
        }
        match reader.request() {
            Ok(request) => requests.push(request),
            Err(end) => return Reading { requests, end, length },
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    /// Of the request being read.
    trailers: Vec<String>,
}

/// A line without its end.
type Field = (String, Vec<u8>);

impl<'a> Reader<'a> {
    fn request(&mut self) -> Result<Request, End> {
        let line = text(self.line()?)?;
        let parts: Vec<&str> = line.split(' ').collect();
        let [method, target, version] = parts[..] else { return Err(End::Broken("request line")) };
        if method.is_empty() || !method.bytes().all(is_token) {
            return Err(End::Broken("method"));
        }
        if target.is_empty() || !target.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(End::Broken("target"));
        }
        if !matches!(version, "HTTP/1.0" | "HTTP/1.1") {
            return Err(End::Broken("version"));
        }
        let fields = self.fields()?;
        let all = |name: &str| fields.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_slice()).collect::<Vec<_>>();
        let hosts = all("host");
        if hosts.len() > 1 || hosts.is_empty() && version == "HTTP/1.1" {
            return Err(End::Broken("host"));
        }
        let host = text(hosts.first().copied().unwrap_or_default())?;
        let body = match (&all("content-length")[..], &all("transfer-encoding")[..]) {
            ([], []) => Ok(Vec::new()),
            ([length], []) => decimal(length).and_then(|length| self.take(length)).map(<[u8]>::to_vec),
            ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") && version == "HTTP/1.1" => self.chunks(),
            _ => Err(End::Broken("length")),
        };
        let names = fields.iter().map(|(name, _)| name.clone()).collect();
        let mut request = Request {
            method: method.to_owned(),
            target: target.to_owned(),
            host,
            body: Vec::new(),
            names,
            trailers: std::mem::take(&mut self.trailers),
        };
        match body {
            Ok(body) => request.body = body,
            Err(End::Partial(_)) => return Err(End::Partial(Some(Box::new(request)))),
            Err(end) => return Err(end),
        }
        Ok(request)
    }

    fn line(&mut self) -> Result<&'a [u8], End> {
        let end = self.bytes.iter().position(|b| *b == b'\n').ok_or(End::Partial(None))?;
        let (line, rest) = self.bytes.split_at(end + 1);
        self.bytes = rest;
        line.strip_suffix(b"\r\n").filter(|line| !line.contains(&b'\r')).ok_or(End::Broken("line end"))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], End> {
        let length = usize::try_from(length).map_err(|_| End::Partial(None))?;
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or(End::Partial(None))?;
        self.bytes = rest;
        Ok(taken)
    }

    fn fields(&mut self) -> Result<Vec<Field>, End> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(fields);
            }
            let colon = line.iter().position(|b| *b == b':').ok_or(End::Broken("field"))?;
            let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
            if name.is_empty() || !name.iter().copied().all(is_token) {
                return Err(End::Broken("field name"));
            }
            if value.iter().any(|b| b.is_ascii_control() && *b != b'\t') {
                return Err(End::Broken("field value"));
            }
            fields.push((text(name)?.to_ascii_lowercase(), value.to_vec()));
        }
    }

    fn chunks(&mut self) -> Result<Vec<u8>, End> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let (size, extension) = line.split_at(line.iter().take_while(|b| b.is_ascii_hexdigit()).count());
            let extension = trim(extension);
            let well =
                size.len() <= 16 && (extension.is_empty() || extension.starts_with(b";")) && !extension.iter().any(u8::is_ascii_control);
            let size = u64::from_str_radix(&text(size)?, 16).ok().filter(|_| well).ok_or(End::Broken("chunk size"))?;
            if size == 0 {
                self.trailers = self.fields()?.into_iter().map(|(name, _)| name).collect();
                return Ok(body);
            }
            body.extend_from_slice(self.take(size)?);
            if self.take(2)? != b"\r\n" {
                return Err(End::Broken("chunk end"));
            }
        }
    }
}

fn text(bytes: &[u8]) -> Result<String, End> {
    String::from_utf8(bytes.to_vec()).map_err(|_| End::Broken("text"))
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

fn decimal(value: &[u8]) -> Result<u64, End> {
    let plain = value.iter().all(u8::is_ascii_digit) && (value.len() == 1 || value.first() != Some(&b'0'));
    text(value)?.parse().ok().filter(|_| plain).ok_or(End::Broken("length"))
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
