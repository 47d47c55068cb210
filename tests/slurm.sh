#!/usr/bin/env bash
# A real Slurm cluster of two nodes on this machine, in a folder of its own, without accounting.
#   tests/slurm.sh install             the Debian packages, where they are missing; needs root
#   tests/slurm.sh start FOLDER PORT   PORT and the two behind it must be free
#   eval "$(tests/slurm.sh env FOLDER)"
#   tests/slurm.sh stop FOLDER         ends its jobs and daemons
set -euo pipefail
export PATH=$PATH:/usr/sbin

install() {
    hash slurmctld slurmd munged srun 2>/dev/null && return
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -qq --no-install-recommends slurmctld slurmd slurm-client munge >/dev/null
}

configure() {
    mkdir -p "$folder"/{bin,state,c1,c2}
    (umask 077 && head -c 128 /dev/urandom >"$folder/munge.key")
    # The plugin's job step drops SLURM_CONF, so its srun is told where the cluster is.
    printf '#!/bin/sh\nSLURM_CONF=%s/slurm.conf exec %s "$@"\n' "$folder" "$(command -v srun)" \
        >"$folder/bin/srun"
    chmod +x "$folder/bin/srun"
    cat >"$folder/slurm.conf" <<CONF
ClusterName=flareset
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=$port
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthInfo=socket=$folder/munge.socket
StateSaveLocation=$folder/state
SlurmctldPidFile=$folder/slurmctld.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdSpoolDir=$folder/%n
SlurmdPidFile=$folder/slurmd.%n.pid
SlurmdLogFile=$folder/slurmd.%n.log
# What became of each job, and on which node.
JobCompType=jobcomp/filetxt
JobCompLoc=$folder/jobs.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
MailProg=/bin/true
# Without cgroups: memory is looked at once a second, and a job over its own is killed.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
# Jobs go to the node that has less to do.
SelectTypeParameters=CR_CPU_Memory,CR_LLN
SlurmdParameters=config_overrides
SchedulerParameters=sched_min_interval=0,batch_sched_delay=0,bf_interval=5
KillWait=3
SlurmdTimeout=10
ReturnToService=2
NodeName=c[1-2] NodeHostname=localhost NodeAddr=127.0.0.1 Port=[$((port + 1))-$((port + 2))] CPUs=2 RealMemory=8000
PartitionName=main Nodes=c[1-2] Default=YES DefaultTime=5 DefMemPerCPU=200 MaxTime=1-00:00:00
CONF
}

start() {
    [ -e "$folder/slurm.conf" ] || configure
    # By force: only we have to reach its socket.
    alive munged || munged --force --key-file="$folder/munge.key" \
        --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" \
        --log-file="$folder/munged.log" --seed-file="$folder/munged.seed" 2>"$folder/munged.err"
    alive slurmctld || slurmctld
    for node in c1 c2; do
        alive "slurmd.$node" || slurmd -N "$node"
    done
    for _ in {1..100}; do
        [ "$(sinfo -hN -t idle,mixed,allocated -o %N 2>/dev/null | sort -u | wc -l)" = 2 ] && return
        sleep 0.1
    done
    tail -n 5 "$folder"/*.log >&2
    echo "the cluster in $folder does not start" >&2
    return 1
}

# Whether a daemon runs; one that has ended may stay a zombie for a while.
alive() {
    [ -s "$folder/$1.pid" ] && grep -qs '^State:.[^Z]' "/proc/$(<"$folder/$1.pid")/status"
}

stop() {
    # A daemon that was killed has left jobs behind, and ends them when it is back.
    start
    scancel --user="$(id -un)"
    for _ in {1..100}; do
        [ -z "$(squeue -h)" ] && break
        sleep 0.1
    done
    for daemon in slurmd.c1 slurmd.c2 slurmctld munged; do
        ! alive "$daemon" || kill "$(<"$folder/$daemon.pid")"
    done
    for daemon in slurmd.c1 slurmd.c2 slurmctld munged; do
        for _ in {1..100}; do
            alive "$daemon" || continue 2
            sleep 0.05
        done
        kill -KILL "$(<"$folder/$daemon.pid")"
    done
}

environment() {
    echo "export SLURM_CONF=$folder/slurm.conf"
    echo "export PATH=$folder/bin:\$PATH"
}

command=${1:-} folder=$(realpath -m "${2:-.}") port=${3:-}
export SLURM_CONF=$folder/slurm.conf
case "$command $#" in
    "install 1") install ;;
    "start 3") start ;;
    "env 2") environment ;;
    "stop 2") stop ;;
    *) sed -n '2,6s/^# *//p' "$0" >&2 && exit 2 ;;
esac
