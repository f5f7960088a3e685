#!/bin/sh
# One training on several hosts without a scheduler. Start it on every host, with the same words:
#   FIRST_HOST=gpu-01 NUM_HOSTS=2 GPUS=4 sh docs/torchrun.sh +experiment=baseline data.root=/shared/dataset
set -eu
exec torchrun \
  --nnodes "${NUM_HOSTS:-1}" --nproc-per-node "${GPUS:-1}" \
  --rdzv-backend c10d --rdzv-endpoint "${FIRST_HOST:-localhost}:${PORT:-29400}" --rdzv-id "${RUN_ID:-mri_cyclegan}" \
  -m mri_cyclegan.train "$@" \
  trainer=ddp trainer.devices="${GPUS:-1}" trainer.num_nodes="${NUM_HOSTS:-1}"
