"""Two hosts for tests of replicas: two network namespaces, each with an address of its own, that a pair of virtual interfaces joins. Every
host is held by a process that sleeps; when that ends, nothing of the host is left. Open MPI starts its daemon on them through an agent
that enters the namespaces, where it would otherwise call ssh."""
import os
import shutil
import signal
import subprocess
import sys
import time

from replicas_support import mpirun_major

SKIP = 77
ADDRESSES = ["10.213.0.1", "10.213.0.2"]
NAMES = ["host-a", "host-b"]


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIP)


def need_tools():
    for program in ("mpirun", "ip", "unshare", "nsenter"):
        if not shutil.which(program):
            skip(f"no {program} here")
    if mpirun_major() != 4:
        skip("the agent is for Open MPI 4")
    if os.geteuid() != 0:
        skip("network namespaces need root")
    if subprocess.run(["unshare", "-n", "-u", "true"], capture_output=True).returncode:
        skip("network namespaces are not permitted here")


class Hosts:
    """Use as a context. folder is for the agent's script."""

    def __init__(self, folder):
        self.agent = f"{folder}/agent.sh"
        self.holders = []

    def __enter__(self):
        try:
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def open(self):
        for name in NAMES:
            holder = subprocess.Popen(["unshare", "-n", "-u", "sh", "-c", f"hostname {name} && echo there && exec sleep 3600"],
                                      stdout=subprocess.PIPE, text=True)
            self.holders.append(holder)
            assert holder.stdout.readline() == "there\n", f"{name} cannot be made"
        a, b = (holder.pid for holder in self.holders)
        made = subprocess.run(["ip", "link", "add", "an0", "netns", str(a), "type", "veth", "peer", "name", "an0", "netns", str(b)],
                              capture_output=True, text=True)
        if made.returncode:
            skip(f"no virtual interfaces here: {made.stderr.strip()}")
        for host, address in enumerate(ADDRESSES):
            self.ip(host, "addr", "add", f"{address}/24", "dev", "an0")
            self.link(host, True)
            self.ip(host, "link", "set", "lo", "up")
        cases = "\n".join(f"{address}) pid={holder.pid} ;;" for address, holder in zip(ADDRESSES, self.holders))
        with open(self.agent, "w") as file:
            file.write(f'#!/bin/sh\nhost=$1\nshift\ncase $host in\n{cases}\nesac\nexec nsenter -t "$pid" -n -u sh -c "$*"\n')
        os.chmod(self.agent, 0o755)

    def close(self):
        if len(self.holders) == 2:
            self.clear()
        for holder in self.holders:
            holder.kill()
            holder.wait()

    def ip(self, host, *arguments):
        subprocess.run(["nsenter", "-t", str(self.holders[host].pid), "-n", "ip", *arguments], check=True)

    def link(self, host, up):
        self.ip(host, "link", "set", "an0", "up" if up else "down")

    def mpirun(self, command, output, options=()):
        """Starts a rank on each host. The process is mpirun's, on the first one; output is a folder in which each rank's lies under
        "*/rank.N/std*", whatever becomes of the network."""
        network = f"{ADDRESSES[0]}/24"
        enter = ["nsenter", "-t", str(self.holders[0].pid), "-n", "-u"]
        launch = ["mpirun", "--mca", "plm_rsh_agent", self.agent, "--mca", "btl", "tcp,self", "--mca", "btl_tcp_if_include", network, "--mca",
                  "oob_tcp_if_include", network, "--bind-to", "none", "--output-filename", output, *options, "-np", "2", "-H",
                  ",".join(f"{address}:1" for address in ADDRESSES)]
        # OpenMP's threads would otherwise spin on the processors that two ranks share.
        environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMP_WAIT_POLICY="passive")
        return subprocess.Popen([*enter, *launch, *command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def processes(self):
        """Process numbers on each host, without the one that holds it."""
        found = [[], []]
        spaces = [os.readlink(f"/proc/{holder.pid}/ns/net") for holder in self.holders]
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            try:
                found[spaces.index(os.readlink(f"/proc/{pid}/ns/net"))].append(pid)
            except (OSError, ValueError):
                continue
        return [[pid for pid in here if pid != holder.pid and not ended(pid)] for here, holder in zip(found, self.holders)]

    def ranks(self, program):
        """Process numbers of the program on each host; 0: it does not run there."""
        return [next((pid for pid in here if runs(pid) == program), 0) for here in self.processes()]

    def clear(self):
        """Ends all that runs on the hosts."""
        for pid in sum(self.processes(), []):
            kill(pid)


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def runs(pid):
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return None


def ended(pid):
    """Whether a process has ended; a zombie has."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


def wait_until(what, seconds):
    """Returns how long it took, or None."""
    start = time.monotonic()
    while not what():
        if time.monotonic() - start > seconds:
            return None
        time.sleep(0.02)
    return time.monotonic() - start
