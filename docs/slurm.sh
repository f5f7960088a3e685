#!/bin/sh
# One training on 2 hosts with 4 GPUs each: sbatch docs/slurm.sh +experiment=baseline data.root=/shared/dataset
#SBATCH --job-name=mri_cyclegan
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=4
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120
set -eu
# One process for each GPU. The first one evaluates when the others have ended: --wait=0 lets it.
exec srun --cpus-per-task="$SLURM_CPUS_PER_TASK" --kill-on-bad-exit=1 --wait=0 python -m mri_cyclegan.train "$@" \
  trainer=ddp trainer.devices="$SLURM_NTASKS_PER_NODE" trainer.num_nodes="$SLURM_NNODES"
