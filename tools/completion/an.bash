# bash completion of the an- programs. Subcommands, options and their choices are taken from --help, so there is nothing
# to keep in step here; where nothing fits, file names are offered.

# --help of the program, or of the subcommand on the line, with wrapped descriptions joined.
_an_help() {
    local program=$1 word
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        if [[ " $(_an_subcommands "$program") " == *" $word "* ]]; then
            program+=" $word"
            break
        fi
    done
    $program --help 2>/dev/null | sed -e ':more' -e 'N' -e 's/\n \{20,\}/ /' -e 't more' -e 'P' -e 'D'
}

# "  or:  an-train eval [OPTION...] DATASET" and its like name the subcommands.
_an_subcommands() {
    $1 --usage 2>/dev/null | sed -n "s/^  or:  ${1##*/} \([a-z][a-z-]*\).*/\1/p" | tr '\n' ' '
}

# What --name may be: "--codec=CODEC  how pixels are stored (jpeg, coef; default jpeg)"; nothing where it is no choice.
_an_choices() {
    sed -n "s/^.* --$1=.*(\([^()]*\))\$/\1/p" | sed -n 's/; default .*//; /, /{s/, / /g;p}'
}

_an_complete() {
    local at=$COMP_CWORD current=${COMP_WORDS[COMP_CWORD]} option words=
    if [[ $current == = ]]; then # bash takes "--codec=jp" apart at the sign
        current= at=$((at + 1))
    fi
    option=${COMP_WORDS[at - 1]}
    [[ $option == = ]] && option=${COMP_WORDS[at - 2]}
    if [[ $option == --* ]]; then
        words=$(_an_help "$1" | _an_choices "${option#--}")
    elif [[ $current == -* ]]; then
        words=$(_an_help "$1" | sed -n 's/^  \(-., \|    \)\(--[a-z0-9-]*\).*/\2/p')
    elif [[ $COMP_CWORD == 1 ]]; then
        words=$(_an_subcommands "$1")
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -o default -F _an_complete an-ingest an-train an-bench-io an-show
