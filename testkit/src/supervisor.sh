# Runs one server for a test and outlives it just long enough to clean up.
#
# Arguments: the directory to remove at the end, the signal that ends the server, the command and its arguments.
# Standard input takes one order a line: `start`, or `signal NAME`. Its end means that the test is gone, whether it
# finished or was killed: the server is ended and the directory removed.
# Standard output carries the server's own lines, and ours, each beginning with `supervisor:`.

dir=$1
last=$2
shift 2
exec 2>&1

send() {
    if kill -s "$1" "$(cat "$dir/pid")"; then
        echo "supervisor: sent $1"
    else
        echo "supervisor: nothing runs"
    fi
}

while read -r order argument; do
    case $order in
        start)
            rm -f "$dir/begun"
            (
                "$@" </dev/null 2>&1 &
                echo $! >"$dir/pid"
                : >"$dir/begun"
                echo "supervisor: started $!"
                wait $!
                code=$?
                rm -f "$dir/pid"
                echo "supervisor: exited $code"
            ) &
            until [ -e "$dir/begun" ]; do sleep 0.01; done
            ;;
        signal) send "$argument" ;;
    esac
done

# Nobody may read on: writing would end us before the work is done.
exec >/dev/null 2>&1
if [ -e "$dir/pid" ]; then
    send "$last"
    send CONT
fi
wait
rm -rf "$dir"
