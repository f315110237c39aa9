#!/bin/sh
# Writes down every request once its body has ended.
length=$(wc -c)
printf '%s %s %s\t%s\t%s\n' "$REQUEST_METHOD" "$REQUEST_URI" "$SERVER_PROTOCOL" "$HTTP_HOST" "$length" >>"$SEEN"
printf 'Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nok'
