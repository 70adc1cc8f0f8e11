import type { IPAddress } from "@heddle/api/gen/net_pb";
import { formatIp, ipv4, ipv6 } from "@heddle/model/network";

/** An address as text; empty if the message holds none. */
export function ipText(address: IPAddress | undefined): string {
  if (address?.ip.case === "ipv4") return formatIp(ipv4(address.ip.value));
  if (address?.ip.case === "ipv6")
    return formatIp(ipv6(address.ip.value.first, address.ip.value.last));
  return "";
}
