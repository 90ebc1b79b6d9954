#!/bin/sh
# Create the RayJob of a night once, wait for its end, and end as it did.
#   NIGHT=NAME create_night.sh RAYJOB_TEMPLATE
set -eu

template=$1
poll_s=${POLL_S:-30}

find_night() {
  kubectl get rayjobs --selector "winnow/night=$NIGHT" --output name
}

read_field() {
  kubectl get "$rayjob" --ignore-not-found --output "jsonpath=$1"
}

rayjob=$(find_night)
if [ -z "$rayjob" ]; then
  sed "s/NIGHT_OF_THE_CRONJOB/$NIGHT/" "$template" | kubectl create --filename - --output name
  rayjob=$(find_night)
fi

while :; do
  # an API server that is out of reach for a moment is asked again
  state=$(read_field '{.metadata.name} {.status.jobDeploymentStatus}') || state=unknown
  case $state in
    '' | *' Complete' | *' Failed' | *' ValidationFailed') break ;;
  esac
  sleep "$poll_s"
done

if [ -z "$state" ]; then
  echo "$rayjob was deleted before its end" >&2
  exit 1
fi
ended=$(read_field '{.status.jobStatus}')
echo "$rayjob: ${ended:-no job status}: $(read_field '{.status.message}')" >&2
[ "$ended" = SUCCEEDED ]
