/* What the environment says of the launcher. Nothing of MPI is loaded for that. */
#include <stdlib.h>

#include "train/group/group_private.h"

#define PROCESSES_MAX (1 << 20)

/* A number of processes; 0: there is none. */
static int number(const char *name)
{
    const char *text = getenv(name);
    if (!text || *text < '0' || *text > '9')
        return 0;
    char *end;
    long value = strtol(text, &end, 10);
    return *end || value > PROCESSES_MAX ? 0 : (int)value;
}

static int slurm_tasks(void)
{
    int tasks = number("SLURM_STEP_NUM_TASKS");
    return tasks ? tasks : number("SLURM_NTASKS");
}

/* Open MPI's mpirun; that of MPICH and its relatives (hydra) and srun --mpi=pmi2; srun --mpi=pmix; srun alone, whose
 * tasks know nothing of each other. A script of sbatch is no step, so it lacks SLURM_STEP_NUM_TASKS. */
void an_launch_find(an_launch *out)
{
    *out = (an_launch){.count = number("OMPI_COMM_WORLD_SIZE")};
    if (!out->count && getenv("PMI_RANK"))
        out->count = number("PMI_SIZE");
    if (!out->count && getenv("PMIX_RANK"))
        out->count = slurm_tasks();
    if (!out->count) {
        out->count = number("SLURM_STEP_NUM_TASKS");
        if (out->count > 1)
            out->unsupported = "srun started several tasks without support for MPI, so each would train alone: start "
                               "them with srun --mpi=pmix, or with mpirun";
    }
    if (!out->count)
        out->count = 1;
}

int an_group_launched(void)
{
    an_launch launch;
    an_launch_find(&launch);
    return launch.count;
}

int an_group_launched_rank(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID"};
    if (an_group_launched() == 1)
        return 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (getenv(names[i]))
            return number(names[i]);
    return 0;
}
