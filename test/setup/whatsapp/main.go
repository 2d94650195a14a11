// Command whatsapp is the stand-in for WhatsApp as a program, for machines that a test makes from scratch: whatsapp
// CHAT MEDIA FOLDER listens at two addresses, and writes into a folder what doctor is to take for WhatsApp's.
package main

import (
	"encoding/hex"
	"log"
	"net"
	"os"
	"path/filepath"

	"culvert/test/standin"
)

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: whatsapp CHAT MEDIA FOLDER")
	}
	s, err := standin.New()
	if err != nil {
		log.Fatal(err)
	}
	root := s.Root()
	write(os.Args[3], "chat-root", []byte(hex.EncodeToString(root[:])))
	write(os.Args[3], "media-ca.pem", s.Authority())
	go func() { log.Fatal(s.ServeChat(listen(os.Args[1]))) }()
	log.Fatal(s.ServeMedia(listen(os.Args[2])))
}

func write(folder, name string, text []byte) {
	if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
		log.Fatal(err)
	}
}

func listen(at string) net.Listener {
	ln, err := net.Listen("tcp", at)
	if err != nil {
		log.Fatal(err)
	}
	return ln
}
