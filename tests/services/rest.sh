#!/usr/bin/env bash
# Apache Iceberg's REST catalog in the foreground:  rest.sh JARS FOLDER PORT WAREHOUSE
# For an s3:// warehouse: S3_ENDPOINT, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION.
set -euo pipefail
jars=$1 dir=$2 warehouse=$4
mkdir -p "$dir" && cd "$dir"
# The server turns CATALOG_A__B_C into the catalog property a-b.c.
export CATALOG_REST_PORT=$3 CATALOG_WAREHOUSE=$warehouse
# Without a file, its catalog would be in memory.
export CATALOG_URI="jdbc:sqlite:file:$dir/catalog.db?journal_mode=WAL&busy_timeout=10000"
case $warehouse in s3://*)
  export CATALOG_IO__IMPL=org.apache.iceberg.aws.s3.S3FileIO
  export CATALOG_S3_ENDPOINT=$S3_ENDPOINT CATALOG_S3_PATH__STYLE__ACCESS=true
esac
exec java -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$jars/*" org.apache.iceberg.rest.RESTCatalogServer
