// The commands that all steps have for looking at processes: `ps` as ps(1), `inspect PID` as pmap(1) and lsof(8).
#pragma once

namespace CLI {
class App;
}

namespace jigsaw::process {

void add_process_commands(CLI::App& app);

}  // namespace jigsaw::process
