//! Which user owns the other end of a local TCP connection: one exact question to the kernel.
//!
//! The question is `sock_diag(7)`'s for a single socket, by its addresses as seen from the
//! client's end. The answer's uid is that of whoever created the socket. A socket that is closed
//! already has a row without an inode, whose uid means nothing: that is "nobody".
//!
//! The bytes are built and read here, in the kernel's layouts `inet_diag_req_v2` and
//! `inet_diag_msg` of `linux/inet_diag.h`.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, netdevice, netlink,
    netlink::SocketAddrNetlink, recv, send, socket_with,
};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
const STATE_ESTABLISHED: u8 = 1;
const STATE_SYN_RECEIVED: u8 = 3;
const STATE_LISTEN: u8 = 10;
const HEADER: usize = 16;
const REQUEST: usize = HEADER + 56;
const ENOENT: i32 = 2;
/// Its port number in netlink; `netlink(7)`.
const KERNEL: u32 = 0;

/// The kernel answers within the system call that asks; this only bounds a broken one.
const PATIENCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// The kernel was asked and did not say.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the kernel did not say who owns the other end of a connection")]
pub struct Unanswered;

/// Asks; keeps one netlink socket between questions.
#[derive(Debug, Default)]
pub struct SockDiag {
    socket: Option<Open>,
    sequence: u32,
}

#[derive(Debug)]
struct Open {
    socket: OwnedFd,
    /// The loopback device's index. Sockets bound to it are only found with it; all others are
    /// found with it as well.
    loopback: u32,
}

impl SockDiag {
    /// The uid behind the connection that `client` made to `server` (both as the server sees
    /// them), or `None` if no living socket of this host is its other end.
    pub fn owner(
        &mut self,
        client: SocketAddr,
        server: SocketAddr,
    ) -> Result<Option<u32>, Unanswered> {
        Ok(match self.end(client, server)? {
            End::Owner(uid) => Some(uid),
            End::Queued | End::Closed | End::Nobody => None,
        })
    }

    /// Whether the client closed the socket that was the other end, and will read nothing any more.
    /// False where that is not known, as of clients elsewhere.
    pub fn is_closed(&mut self, client: SocketAddr, server: SocketAddr) -> bool {
        self.end(client, server) == Ok(End::Closed)
    }

    /// Who has the `near` end of the connection between these two, which may be the server's.
    pub fn end(&mut self, near: SocketAddr, far: SocketAddr) -> Result<End, Unanswered> {
        // Put back only after an answer: whatever was wrong, the next question gets a new one.
        let open = match self.socket.take() {
            Some(open) => open,
            None => Open::new()?,
        };
        self.sequence = self.sequence.wrapping_add(1);
        let question = request(self.sequence, near, far, open.loopback).ok_or(Unanswered)?;
        send(&open.socket, &question, SendFlags::empty()).map_err(|_| Unanswered)?;
        let mut buffer = [0_u8; 512];
        loop {
            let mut waiting = [PollFd::new(&open.socket, PollFlags::IN)];
            if poll(&mut waiting, Some(&PATIENCE)).map_err(|_| Unanswered)? == 0 {
                return Err(Unanswered);
            }
            let (length, _) =
                recv(&open.socket, &mut buffer, RecvFlags::DONTWAIT).map_err(|_| Unanswered)?;
            let answer = buffer.get(..length).ok_or(Unanswered)?;
            match parse(answer, self.sequence, near, far) {
                Answer::Is(end) => {
                    self.socket = Some(open);
                    return Ok(end);
                }
                Answer::Refused => return Err(Unanswered),
                Answer::AnotherQuestion => {}
            }
        }
    }
}

impl Open {
    fn new() -> Result<Self, Unanswered> {
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            Some(netlink::SOCK_DIAG),
        )
        .map_err(|_| Unanswered)?;
        // From then on only the kernel's messages arrive: another process could send some.
        connect(&socket, &SocketAddrNetlink::new(KERNEL, 0)).map_err(|_| Unanswered)?;
        let any = socket_with(
            AddressFamily::UNIX,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC,
            None,
        );
        let loopback = any.and_then(|any| netdevice::name_to_index(&any, "lo"));
        Ok(Self {
            socket,
            loopback: loopback.unwrap_or(1),
        })
    }
}

/// What the kernel knows of one end of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// A living socket of this user.
    Owner(u32),
    /// Nobody has accepted it yet.
    Queued,
    /// What is left of a socket that was closed.
    Closed,
    /// Nothing of this host and network namespace.
    Nobody,
}

/// What one message means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Answer {
    Is(End),
    Refused,
    AnotherQuestion,
}

/// `nlmsghdr` and `inet_diag_req_v2`. `None` for addresses of different families.
fn request(
    sequence: u32,
    client: SocketAddr,
    server: SocketAddr,
    device: u32,
) -> Option<[u8; REQUEST]> {
    let (family, source, destination) = addresses(client.ip(), server.ip())?;
    let mut bytes = Vec::with_capacity(REQUEST);
    bytes.extend((u32::try_from(REQUEST).ok()?).to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(NLM_F_REQUEST.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend(0_u32.to_ne_bytes()); // to the kernel
    bytes.extend([family, IPPROTO_TCP, 0, 0]); // no extensions, padding
    bytes.extend(u32::MAX.to_ne_bytes()); // any state
    bytes.extend(client.port().to_be_bytes());
    bytes.extend(server.port().to_be_bytes());
    bytes.extend(source);
    bytes.extend(destination);
    bytes.extend(device.to_ne_bytes());
    bytes.extend([0xff; 8]); // any cookie
    bytes.try_into().ok()
}

/// Reads a message in answer to question `sequence`.
fn parse(message: &[u8], sequence: u32, client: SocketAddr, server: SocketAddr) -> Answer {
    if word(message, 8) != Some(sequence) {
        return Answer::AnotherQuestion;
    }
    match half(message, 4) {
        Some(NLMSG_ERROR) => match word(message, HEADER).map(u32::cast_signed) {
            Some(code) if code == -ENOENT => Answer::Is(End::Nobody),
            _ => Answer::Refused,
        },
        Some(SOCK_DIAG_BY_FAMILY) => row(message, client, server).unwrap_or(Answer::Refused),
        _ => Answer::Refused,
    }
}

/// Reads `inet_diag_msg`. `None` if it is cut off.
fn row(message: &[u8], client: SocketAddr, server: SocketAddr) -> Option<Answer> {
    let family = *message.get(HEADER)?;
    let state = *message.get(HEADER + 1)?;
    let source = end(message, family, HEADER + 4, HEADER + 8)?;
    let destination = end(message, family, HEADER + 6, HEADER + 24)?;
    let uid = word(message, HEADER + 64)?;
    let inode = word(message, HEADER + 68)?;
    // Without a connection of those addresses, the kernel falls back to a listening socket on
    // the client's port; that is somebody else's.
    let is_ours =
        state != STATE_LISTEN && source == canonical(client) && destination == canonical(server);
    Some(Answer::Is(match inode {
        _ if !is_ours => End::Nobody,
        0 if state == STATE_ESTABLISHED || state == STATE_SYN_RECEIVED => End::Queued,
        0 => End::Closed,
        _ => End::Owner(uid),
    }))
}

/// One end of a row: address and port.
fn end(message: &[u8], family: u8, port_at: usize, address_at: usize) -> Option<(IpAddr, u16)> {
    let port = u16::from_be_bytes(message.get(port_at..port_at + 2)?.try_into().ok()?);
    let address: [u8; 16] = message.get(address_at..address_at + 16)?.try_into().ok()?;
    let address = match family {
        AF_INET => {
            let [a, b, c, d, ..] = address;
            IpAddr::from([a, b, c, d])
        }
        AF_INET6 => Ipv6Addr::from(address).to_canonical(),
        _ => return None,
    };
    Some((address, port))
}

fn canonical(end: SocketAddr) -> (IpAddr, u16) {
    (end.ip().to_canonical(), end.port())
}

/// Family and both addresses in sixteen bytes each. IPv4 addresses inside IPv6 ones are taken
/// out: that is the family the kernel files such connections under.
fn addresses(client: IpAddr, server: IpAddr) -> Option<(u8, [u8; 16], [u8; 16])> {
    match (client.to_canonical(), server.to_canonical()) {
        (IpAddr::V4(client), IpAddr::V4(server)) => {
            let widen = |[a, b, c, d]: [u8; 4]| [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            Some((AF_INET, widen(client.octets()), widen(server.octets())))
        }
        (IpAddr::V6(client), IpAddr::V6(server)) => {
            Some((AF_INET6, client.octets(), server.octets()))
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

    use rustix::io::Errno;
    use rustix::net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, getsockname, netlink,
        netlink::SocketAddrNetlink, recv, sendto, socket_with,
    };

    use super::{AF_INET, AF_INET6, Answer, End, HEADER, SockDiag, parse, request};
    use crate::listener::tests::support::skipped;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_question_has_the_kernels_layout() {
        let bytes = request(7, at("127.0.0.1:4660"), at("127.0.0.2:80"), 1).unwrap();
        assert_eq!(bytes[..4], 72_u32.to_ne_bytes());
        assert_eq!(bytes[4..6], 20_u16.to_ne_bytes());
        assert_eq!(bytes[16..20], [AF_INET, 6, 0, 0]);
        assert_eq!(bytes[24..28], [0x12, 0x34, 0, 80], "ports, client first");
        assert_eq!(bytes[28..32], [127, 0, 0, 1]);
        assert_eq!(bytes[44..48], [127, 0, 0, 2]);
        assert_eq!(bytes[60..64], 1_u32.to_ne_bytes());
        assert_eq!(bytes[64..72], [0xff; 8]);
        let mapped = request(7, at("[::ffff:127.0.0.1]:4660"), at("127.0.0.2:80"), 1).unwrap();
        assert_eq!(mapped, bytes);
        assert!(request(7, at("[::1]:1"), at("127.0.0.1:2"), 1).is_none());
    }

    /// A row as the kernel would send it.
    fn row(state: u8, uid: u32, inode: u32) -> Vec<u8> {
        let mut bytes = request(9, at("127.0.0.1:4660"), at("127.0.0.2:80"), 1)
            .unwrap()
            .to_vec();
        bytes.splice(16..24, [AF_INET, state, 0, 0]);
        bytes.extend([0; 12]);
        bytes.extend(uid.to_ne_bytes());
        bytes.extend(inode.to_ne_bytes());
        bytes
    }

    #[test]
    fn only_a_living_connection_of_those_addresses_counts() {
        let (client, server) = (at("127.0.0.1:4660"), at("127.0.0.2:80"));
        let read = |message: &[u8]| parse(message, 9, client, server);
        assert_eq!(
            read(&row(1, 1000, 5)),
            Answer::Is(End::Owner(1000)),
            "established"
        );
        assert_eq!(
            read(&row(5, 1000, 5)),
            Answer::Is(End::Owner(1000)),
            "half closed, still open"
        );
        assert_eq!(
            read(&row(6, 0, 0)),
            Answer::Is(End::Closed),
            "closed: no inode, and uid 0 is no root"
        );
        assert_eq!(
            read(&row(1, 0, 0)),
            Answer::Is(End::Queued),
            "not accepted yet"
        );
        assert_eq!(
            read(&row(10, 1000, 5)),
            Answer::Is(End::Nobody),
            "a listening socket"
        );
        assert_eq!(
            parse(&row(1, 1000, 5), 9, at("127.0.0.1:4661"), server),
            Answer::Is(End::Nobody),
            "somebody else's"
        );
        assert_eq!(
            parse(&row(1, 0, 5), 8, client, server),
            Answer::AnotherQuestion
        );
        for length in 12..row(1, 0, 5).len() {
            assert_eq!(
                read(&row(1, 0, 5)[..length]),
                Answer::Refused,
                "cut at {length}"
            );
        }
        let mut error = row(1, 0, 0);
        error[4] = 2;
        error[HEADER..HEADER + 4].copy_from_slice(&(-2_i32).to_ne_bytes());
        assert_eq!(read(&error), Answer::Is(End::Nobody));
        error[HEADER..HEADER + 4].copy_from_slice(&(-1_i32).to_ne_bytes());
        assert_eq!(read(&error), Answer::Refused);
    }

    #[test]
    fn a_mapped_row_is_the_same_connection() {
        let mut bytes = row(1, 1000, 5);
        bytes[HEADER] = AF_INET6;
        let mapped = |last: u8| [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, last];
        bytes[24..40].copy_from_slice(&mapped(1));
        bytes[40..56].copy_from_slice(&mapped(2));
        let answer = parse(&bytes, 9, at("127.0.0.1:4660"), at("127.0.0.2:80"));
        assert_eq!(answer, Answer::Is(End::Owner(1000)));
    }

    #[test]
    fn the_kernel_tells_who_connected() {
        let mut kernel = SockDiag::default();
        for address in ["127.0.0.1:0", "[::1]:0", "[::ffff:127.0.0.1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else {
                skipped(&format!("no {address} here"));
                continue;
            };
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (near, far) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
            assert_eq!(kernel.end(far, near), Ok(End::Queued), "{address}");
            let (accepted, peer) = listener.accept().unwrap();
            let server = accepted.local_addr().unwrap();
            let held = kernel.end(far, near);
            assert_eq!(held, Ok(End::Owner(rustix::process::geteuid().as_raw())));
            let own = rustix::process::geteuid().as_raw();
            assert_eq!(kernel.owner(peer, server), Ok(Some(own)), "{address}");
            assert!(!kernel.is_closed(peer, server), "{address}");
            client.shutdown(Shutdown::Write).unwrap();
            assert!(!kernel.is_closed(peer, server), "{address}: half closed");
            drop(client);
            assert_eq!(kernel.owner(peer, server), Ok(None), "{address}: closed");
            assert!(kernel.is_closed(peer, server), "{address}: closed");
        }
        let never = kernel.owner(at("127.0.0.1:1"), at("127.0.0.1:2"));
        assert_eq!(never, Ok(None));
        assert!(!kernel.is_closed(at("127.0.0.1:1"), at("127.0.0.1:2")));
    }

    /// A process with the right to may send to any netlink socket; what it sends must not arrive.
    #[test]
    fn nobody_but_the_kernel_is_heard() {
        let mut kernel = SockDiag::default();
        let nobody = at("127.0.0.1:1");
        assert_eq!(kernel.owner(nobody, nobody), Ok(None));
        let ours = &kernel.socket.as_ref().unwrap().socket;
        let address: SocketAddrNetlink = getsockname(ours).unwrap().try_into().unwrap();
        let other = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(netlink::SOCK_DIAG),
        )
        .unwrap();
        let sent = sendto(&other, &row(1, 0, 5), SendFlags::empty(), &address);
        if sent == Err(Errno::PERM) {
            skipped("only root can send to another's netlink socket");
            return;
        }
        assert_eq!(sent, Err(Errno::CONNREFUSED));
        let heard = recv(ours, &mut [0_u8; 512], RecvFlags::DONTWAIT);
        assert_eq!(heard.unwrap_err(), Errno::AGAIN);
    }
}
