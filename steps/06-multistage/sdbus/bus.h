// The few calls of sd-bus(3) that are needed, with our kind of errors.
#pragma once

#include <systemd/sd-bus.h>

#include <memory>
#include <string>
#include <string_view>

namespace jigsaw::sdbus {

template <class Thing, Thing* (*Unref)(Thing*)>
struct Unreference {
  void operator()(Thing* thing) const { Unref(thing); }
};
using Bus = std::unique_ptr<sd_bus, Unreference<sd_bus, sd_bus_flush_close_unref>>;
using Message = std::unique_ptr<sd_bus_message, Unreference<sd_bus_message, sd_bus_message_unref>>;

// "system" or "user".
Bus connect(const std::string& keeper);
// A call of systemd's manager, to be filled.
Message call_to(sd_bus* bus, const char* method);
// Sends it; throws systemd's own words. `what` completes "systemd does not …".
Message send(sd_bus* bus, const Message& message, const std::string& what);
// Sends a call that starts a job, and waits for its end.
void run_job(sd_bus* bus, const Message& message, const std::string& what);
// "MemoryMax=t:67108864" as a member of an array of properties: t a 64-bit number, b true or false, s a text.
void append_property(sd_bus_message* message, const std::string& text);
// Throws unless `rc`, as sd-bus gives it, is a success.
void must(int rc, std::string_view what);

}  // namespace jigsaw::sdbus
