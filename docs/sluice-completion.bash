# SPDX-License-Identifier: Apache-2.0
# bash completion for sluicectl: verbs and options from its --help, ports and pods from the daemon.

# Offers those of the lines on stdin that begin with what was typed. Not by `compgen -W`, which
# expands its words: a container's name must never become a command.
_sluicectl_offer() { # typed
    local line
    while IFS= read -r line; do
        [[ $line == "$1"* ]] && COMPREPLY+=("$line")
    done
}

# Prints the values of a member in the daemon's answer, each once.
_sluicectl_ask() { # method member; ${command[@]} is sluicectl with the options typed so far
    "${command[@]}" --timeout 1 --json "$1" 2>/dev/null |
        sed -n 's/^ *"'"$2"'": "\([^"\\]*\)",\{0,1\}$/\1/p' | awk '!seen[$0]++'
}

_sluicectl() {
    local typed=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local command=("${COMP_WORDS[0]}") verb='' operand='' word
    local -i i
    COMPREPLY=()

    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
        --socket) command+=("$word" "${COMP_WORDS[i + 1]}") && i+=1 ;;
        --timeout) i+=1 ;;
        -*) ;;
        *) if [[ $verb ]]; then operand=$word; else verb=$word; fi ;;
        esac
    done

    case $previous in
    --root) mapfile -t COMPREPLY < <(compgen -d -- "$typed") && return ;;
    --socket) mapfile -t COMPREPLY < <(compgen -f -- "$typed") && return ;;
    --container-id) _sluicectl_offer "$typed" < <(_sluicectl_ask pods container_id) && return ;;
    --ifname) _sluicectl_offer "$typed" < <(_sluicectl_ask pods ifname) && return ;;
    --netdev) _sluicectl_offer "$typed" < <(cd /sys/class/net && printf '%s\n' *) && return ;;
    --timeout | --mac | --ip | --mtu | --devargs | --pod) return ;;
    esac

    if [[ $typed == -* ]]; then
        _sluicectl_offer "$typed" < <(
            "${COMP_WORDS[0]}" ${verb:+"$verb"} --help 2>/dev/null | sed -n 's/^  \(--[a-z-]*\).*/\1/p'
            [[ $verb ]] && printf '%s\n' --help --json --socket --timeout
        )
        return
    fi
    case $verb in
    '')
        _sluicectl_offer "$typed" < <(
            "${COMP_WORDS[0]}" --help 2>/dev/null | sed -n '/^Verbs/,/^$/s/^  \([a-z]*\) .*/\1/p'
        )
        ;;
    ports | stats) _sluicectl_offer "$typed" < <(_sluicectl_ask ports name) ;;
    pods) _sluicectl_offer "$typed" < <(_sluicectl_ask pods container_id) ;;
    rules)
        _sluicectl_offer "$typed" < <(
            _sluicectl_ask pods container_id
            printf '%s\n' range host openflow
        )
        ;;
    offload)
        if [[ $operand == why ]]; then
            _sluicectl_offer "$typed" < <(_sluicectl_ask pods container_id)
        elif [[ ! $operand ]]; then
            _sluicectl_offer "$typed" < <(printf '%s\n' status rules why capabilities audit)
        fi
        ;;
    esac
}

complete -F _sluicectl sluicectl
