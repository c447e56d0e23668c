# Boots a machine: becomes its systemd, process 1 of the namespaces that it is started in. Arguments: the folder that is to be
# its root, and the project, which it is to have at the same place as the host.
set -eu
root=$1 project=$2

# `/proc` is still the host's, and so is the number.
read -r pid _ < /proc/self/stat
echo "pid $pid"

cd "$root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
# Of the kernel's variables only those of the network are its own.
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount --bind proc/sys/net proc/sys/net
mount -o remount,bind,rw proc/sys/net

mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
    : > "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp

mkdir -p "./$project"
mount --rbind "$project" "./$project"
pivot_root . mnt
umount -l mnt
exec env -i container=udpchat-test /lib/systemd/systemd --system --unit=multi-user.target \
    --log-target=journal --show-status=no < /dev/null > /dev/null 2>&1
