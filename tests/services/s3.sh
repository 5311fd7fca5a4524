#!/usr/bin/env bash
# An S3 server in the foreground:  s3.sh versitygw|seaweedfs CACHE FOLDER PORT BUCKET
# Keys: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY.
set -euo pipefail
kind=$1 cache=$2 dir=$3 port=$4 bucket=$5
mkdir -p "$dir/data" && cd "$dir"
case $kind in
  versitygw) # a folder is a bucket
    mkdir -p "$dir/data/$bucket"
    exec "$cache/bin/versitygw" --port "127.0.0.1:$port" --access "$AWS_ACCESS_KEY_ID" --secret "$AWS_SECRET_ACCESS_KEY" \
      --health /healthz --quiet posix "$dir/data" ;;
  seaweedfs) # uses the six ports from PORT on, and each + 10000
    exec "$cache/venv/bin/weed" mini -dir="$dir/data" -ip=127.0.0.1 -ip.bind=127.0.0.1 -bucket="$bucket" -s3.port="$port" \
      -master.port=$((port + 1)) -volume.port=$((port + 2)) -filer.port=$((port + 3)) -s3.port.iceberg=$((port + 4)) \
      -s3.port.lance=0 -admin.port=$((port + 5)) -admin.ui=false -webdav=false ;;
esac
