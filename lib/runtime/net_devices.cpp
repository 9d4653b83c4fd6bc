#include "runtime/net_devices.h"

#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <functional>

#include "base/error.h"
#include "base/explain.h"
#include "base/fd.h"

namespace jigsaw::runtime {
namespace {

// One request: a header, a body of the kind that the type asks for, attributes.
class Request {
 public:
  template <class Body>
  Request(uint16_t type, uint16_t flags, const Body& body) : bytes_(NLMSG_SPACE(sizeof body), '\0') {
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
    std::memcpy(bytes_.data(), &header, sizeof header);
    std::memcpy(bytes_.data() + NLMSG_HDRLEN, &body, sizeof body);
  }
  void add(uint16_t type, std::string_view value) {
    rtattr attribute{};
    attribute.rta_type = type;
    attribute.rta_len = static_cast<uint16_t>(RTA_LENGTH(value.size()));
    const size_t start = bytes_.size();
    bytes_.resize(start + RTA_SPACE(value.size()), '\0');
    std::memcpy(bytes_.data() + start, &attribute, sizeof attribute);
    std::memcpy(bytes_.data() + start + RTA_LENGTH(0), value.data(), value.size());
  }
  const std::string& finished() {
    const auto size = static_cast<uint32_t>(bytes_.size());
    std::memcpy(bytes_.data() + offsetof(nlmsghdr, nlmsg_len), &size, sizeof size);
    return bytes_;
  }

 private:
  std::string bytes_;
};

class Netlink {
 public:
  Netlink() : socket_(check(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), "open an rtnetlink socket")) {}

  // 0, or the errno of the kernel's answer.
  int ask(Request& request) {
    send(request);
    int answer = 0;
    receive([&](const nlmsghdr& header, const char* body) {
      if (header.nlmsg_type == NLMSG_ERROR) {
        nlmsgerr error{};
        std::memcpy(&error, body, sizeof error);
        answer = -error.error;
      }
      return false;
    });
    return answer;
  }
  // All messages of a dump.
  void dump(Request& request, const std::function<void(const nlmsghdr&, const char* body)>& each) {
    send(request);
    bool more = true;
    while (more) {
      more = receive([&](const nlmsghdr& header, const char* body) {
        if (header.nlmsg_type == NLMSG_DONE || header.nlmsg_type == NLMSG_ERROR) {
          return false;
        }
        each(header, body);
        return true;
      });
    }
  }

 private:
  void send(Request& request) {
    const std::string& bytes = request.finished();
    check(::send(socket_.get(), bytes.data(), bytes.size(), 0), "ask the kernel about network devices");
  }
  // One packet of messages; false when `each` said so.
  bool receive(const std::function<bool(const nlmsghdr&, const char* body)>& each) {
    std::string packet(65'536, '\0');
    const ssize_t got = check(::recv(socket_.get(), packet.data(), packet.size(), 0), "read about network devices");
    size_t at = 0;
    while (at + sizeof(nlmsghdr) <= static_cast<size_t>(got)) {
      nlmsghdr header{};
      std::memcpy(&header, packet.data() + at, sizeof header);
      if (header.nlmsg_len < sizeof header || at + header.nlmsg_len > static_cast<size_t>(got) ||
          !each(header, packet.data() + at + NLMSG_HDRLEN)) {
        return false;
      }
      at += NLMSG_ALIGN(header.nlmsg_len);
    }
    return true;
  }
  Fd socket_;
};

ifinfomsg link_of(int index, unsigned flags, unsigned change) {
  ifinfomsg link{};
  link.ifi_index = index;
  link.ifi_flags = flags;
  link.ifi_change = change;
  return link;
}

void must(int number, const std::string& what) {
  if (number != 0) {
    throw system_error(number, what);
  }
}

NetAddress read_address(const ifaddrmsg& head, const char* attributes, size_t size, uint32_t& flags) {
  NetAddress address{.family = head.ifa_family, .prefix = head.ifa_prefixlen, .scope = head.ifa_scope};
  for (size_t at = 0; at + sizeof(rtattr) <= size;) {
    rtattr attribute{};
    std::memcpy(&attribute, attributes + at, sizeof attribute);
    if (attribute.rta_len < sizeof attribute || at + attribute.rta_len > size) {
      break;
    }
    const std::string value(attributes + at + RTA_LENGTH(0), attribute.rta_len - RTA_LENGTH(0));
    if (attribute.rta_type == IFA_LOCAL) {
      address.local = value;
    } else if (attribute.rta_type == IFA_ADDRESS) {
      address.peer = value;
    } else if (attribute.rta_type == IFA_BROADCAST) {
      address.broadcast = value;
    } else if (attribute.rta_type == IFA_FLAGS && value.size() == sizeof flags) {
      std::memcpy(&flags, value.data(), sizeof flags);
    }
    at += RTA_ALIGN(attribute.rta_len);
  }
  return address;
}

std::vector<NetAddress> addresses_of(Netlink& netlink, int index) {
  std::vector<NetAddress> result;
  Request request(RTM_GETADDR, NLM_F_DUMP, ifaddrmsg{});
  netlink.dump(request, [&](const nlmsghdr& header, const char* body) {
    ifaddrmsg head{};
    std::memcpy(&head, body, sizeof head);
    uint32_t flags = head.ifa_flags;
    const size_t skip = NLMSG_ALIGN(sizeof head);
    NetAddress address = read_address(head, body + skip, header.nlmsg_len - NLMSG_HDRLEN - skip, flags);
    if (static_cast<int>(head.ifa_index) == index && head.ifa_scope < RT_SCOPE_LINK && (flags & IFA_F_PERMANENT) != 0) {
      result.push_back(std::move(address));
    }
  });
  return result;
}

void add_address(Netlink& netlink, int index, const NetAddress& address) {
  ifaddrmsg head{};
  head.ifa_family = address.family;
  head.ifa_prefixlen = address.prefix;
  head.ifa_scope = address.scope;
  head.ifa_index = static_cast<uint32_t>(index);
  Request request(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, head);
  for (const auto& [type, value] : {std::pair<uint16_t, const std::string&>{IFA_LOCAL, address.local}, {IFA_ADDRESS, address.peer},
                                    {IFA_BROADCAST, address.broadcast}}) {
    if (!value.empty()) {
      request.add(type, value);
    }
  }
  must(netlink.ask(request), "give a network device its address back");
}

}  // namespace

std::vector<NetDevice> find_net_devices(const std::map<std::string, std::string>& names) {
  std::vector<NetDevice> result;
  if (names.empty()) {
    return result;
  }
  Netlink netlink;
  for (const auto& [name, inside] : names) {
    NetDevice device{.name = name, .inside = inside.empty() ? name : inside};
    device.index = static_cast<int>(::if_nametoindex(name.c_str()));
    if (device.index == 0) {
      throw system_error(errno, fmt::format("netDevices: the network device {}", name));
    }
    device.addresses = addresses_of(netlink, device.index);
    result.push_back(std::move(device));
  }
  return result;
}

void move_net_devices(const std::vector<NetDevice>& devices, pid_t pid) {
  if (devices.empty()) {
    return;
  }
  Netlink netlink;
  for (const NetDevice& device : devices) {
    Request down(RTM_NEWLINK, NLM_F_ACK, link_of(device.index, 0, IFF_UP));
    must(netlink.ask(down), fmt::format("netDevices: take {} down", device.name));
    Request move(RTM_NEWLINK, NLM_F_ACK, link_of(device.index, 0, 0));
    const auto number = static_cast<uint32_t>(pid);
    move.add(IFLA_NET_NS_PID, {reinterpret_cast<const char*>(&number), sizeof number});
    move.add(IFLA_IFNAME, {device.inside.c_str(), device.inside.size() + 1});
    const int problem = netlink.ask(move);
    explain::tell(problem == 0 ? 0 : -1, "the host's device is the container's from here on", [&] {
      return explain::Call{"sendto", fmt::format("RTM_NEWLINK, {{{} -> {}}}, IFLA_NET_NS_PID={}", device.name, device.inside, pid),
                           fmt::format("ip link set {} netns {} name {}", device.name, pid, device.inside)};
    });
    must(problem, fmt::format("netDevices: move {} into the container as {}", device.name, device.inside));
  }
}

void configure_net_devices(const std::vector<NetDevice>& devices) {
  if (devices.empty()) {
    return;
  }
  Netlink netlink;
  for (const NetDevice& device : devices) {
    const auto index = static_cast<int>(check(static_cast<int>(::if_nametoindex(device.inside.c_str())), "find {}", device.inside));
    for (const NetAddress& address : device.addresses) {
      add_address(netlink, index, address);
    }
    Request up(RTM_NEWLINK, NLM_F_ACK, link_of(index, IFF_UP, IFF_UP));
    must(netlink.ask(up), fmt::format("netDevices: bring {} up", device.inside));
  }
}

}  // namespace jigsaw::runtime
