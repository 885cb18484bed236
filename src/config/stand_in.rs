//! Whether a real metadata service is behind an address that a listener takes for itself.
//!
//! The service is never asked: a request to it is not ours to make, and by the time a listener
//! is up it would be our own that answers. What counts is what the host shows by itself: a route
//! to that very address (clouds hand one out over DHCP), or firmware that names a cloud.

use std::net::{IpAddr, Ipv4Addr};

/// What a host shows of the clouds it may be in.
#[derive(Clone, Debug, Default)]
pub(super) struct Surroundings {
    /// Networks with a route of their own on another device than loopback: address and length.
    routes: Vec<(Ipv4Addr, u8)>,
    /// The words of the firmware.
    firmware: String,
}

/// Where each cloud's firmware shows its name, and the addresses of its metadata service.
const CLOUDS: [(&str, &[Ipv4Addr]); 5] = [
    ("Amazon EC2", &[METADATA]),
    ("Alibaba Cloud", &[Ipv4Addr::new(100, 100, 100, 200)]),
    ("Tencent Cloud", &[Ipv4Addr::new(169, 254, 0, 23), METADATA]),
    ("OpenStack", &[METADATA]),
    ("HUAWEI", &[METADATA]),
];
const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

impl Surroundings {
    /// Those of this host.
    pub(super) fn this() -> Self {
        let words = ["sys_vendor", "product_name"].map(|file| {
            std::fs::read_to_string(format!("/sys/class/dmi/id/{file}")).unwrap_or_default()
        });
        let routes = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
        Self::read(&routes, words.join(" "))
    }

    /// From the kernel's table of routes and the words of the firmware.
    fn read(routes: &str, firmware: String) -> Self {
        Self {
            routes: routes.lines().skip(1).filter_map(route).collect(),
            firmware,
        }
    }

    /// What shows that a real service is at this address; `None` if nothing does.
    pub(super) fn real_service(&self, address: IpAddr) -> Option<String> {
        let IpAddr::V4(address) = address.to_canonical() else {
            return None;
        };
        if self
            .routes
            .iter()
            .any(|(to, length)| *length == 32 && *to == address)
        {
            return Some(format!("the host has a route to {address}"));
        }
        let (cloud, _) = CLOUDS.iter().find(|(cloud, addresses)| {
            self.firmware.contains(cloud) && addresses.contains(&address)
        })?;
        Some(format!("the firmware of this host says \"{cloud}\""))
    }
}

/// One line of the table: device, destination, gateway, flags … and, seventh, the mask; addresses
/// in hexadecimal, in the byte order of the host (proc(5)).
fn route(line: &str) -> Option<(Ipv4Addr, u8)> {
    let mut words = line.split_ascii_whitespace();
    let device = words.next()?;
    let number = |word: &str| u32::from_str_radix(word, 16).ok();
    let destination = number(words.next()?)?;
    let mask = number(words.nth(5)?)?;
    let address = Ipv4Addr::from(destination.to_ne_bytes());
    let length = u8::try_from(mask.count_ones()).ok()?;
    (device != "lo").then_some((address, length))
}

#[cfg(test)]
mod tests {
    use super::Surroundings;

    const ROUTES: &str = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0100A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\tFEA9FEA9\t0100A8C0\t0007\t0\t0\t100\tFFFFFFFF\t0\t0\t0
eth0\t0000FEA9\t00000000\t0001\t0\t0\t1000\t0000FFFF\t0\t0\t0
lo\t1700FEA9\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0
";

    #[test]
    fn a_route_to_the_address_itself_shows_a_service() {
        if cfg!(target_endian = "big") {
            return; // the text above is of a little-endian host
        }
        let host = Surroundings::read(ROUTES, String::new());
        let shown = |text: &str| host.real_service(text.parse().unwrap());
        assert!(shown("169.254.169.254").is_some_and(|it| it.contains("route")));
        assert_eq!(shown("169.254.0.23"), None, "on loopback it is ours");
        assert_eq!(shown("169.254.170.2"), None, "a network shows nothing");
        assert_eq!(shown("127.0.0.1"), None);
    }

    #[test]
    fn firmware_shows_the_services_of_its_cloud() {
        let host = Surroundings::read("", "Tencent Cloud CVM".to_owned());
        let shown = |text: &str| host.real_service(text.parse().unwrap());
        assert!(shown("169.254.0.23").is_some_and(|it| it.contains("Tencent Cloud")));
        assert_eq!(shown("100.100.100.200"), None, "another cloud's");
        assert_eq!(shown("fd00:ec2::254"), None);
        let nowhere = Surroundings::read("", "QEMU Standard PC".to_owned());
        assert_eq!(
            nowhere.real_service("169.254.169.254".parse().unwrap()),
            None
        );
    }
}
