//! Words from which believable people, places and groups are made. Data only.

/// A script: given names and surnames, each with how it is written in ASCII for addresses.
pub(super) struct Script {
    pub given: &'static [(&'static str, &'static str)],
    pub surnames: &'static [(&'static str, &'static str)],
    /// How often it is drawn.
    pub weight: u32,
}

pub(super) static SCRIPTS: &[Script] = &[
    Script {
        weight: 52,
        given: &[
            ("Anna", "anna"), ("Björn", "bjorn"), ("Chloé", "chloe"), ("Dániel", "daniel"), ("Emma", "emma"), ("François", "francois"),
            ("Grace", "grace"), ("Håkon", "hakon"), ("Inês", "ines"), ("James", "james"), ("Karin", "karin"), ("Łukasz", "lukasz"),
            ("María", "maria"), ("Noah", "noah"), ("Olivia", "olivia"), ("Piotr", "piotr"), ("Quentin", "quentin"), ("Renée", "renee"),
            ("Søren", "soren"), ("Thérèse", "therese"), ("Ursula", "ursula"), ("Víctor", "victor"), ("William", "william"), ("Zoë", "zoe"),
            ("Alžběta", "alzbeta"), ("Berkay", "berkay"), ("Ciarán", "ciaran"), ("Dagný", "dagny"), ("Elif", "elif"), ("Fiona", "fiona"),
            ("Gülşen", "gulsen"), ("Hannah", "hannah"), ("Ivo", "ivo"), ("Jörg", "jorg"), ("Kateřina", "katerina"), ("Liam", "liam"),
            ("Márta", "marta"), ("Nuño", "nuno"), ("Ömer", "omer"), ("Paula", "paula"), ("Rosa", "rosa"), ("Stefan", "stefan"),
        ],
        surnames: &[
            ("Andersson", "andersson"), ("Bauer", "bauer"), ("Čapek", "capek"), ("Díaz", "diaz"), ("Evans", "evans"), ("Fernández", "fernandez"),
            ("García", "garcia"), ("Horváth", "horvath"), ("Ibáñez", "ibanez"), ("Jørgensen", "jorgensen"), ("Kowalski", "kowalski"),
            ("Lefèvre", "lefevre"), ("Müller", "muller"), ("Nguyễn", "nguyen"), ("O'Brien", "obrien"), ("Petrović", "petrovic"),
            ("Quinn", "quinn"), ("Rossi", "rossi"), ("Schäfer", "schafer"), ("Tóth", "toth"), ("Ünal", "unal"), ("Van der Berg", "vanderberg"),
            ("Weiß", "weiss"), ("Yılmaz", "yilmaz"), ("Zieliński", "zielinski"), ("Smith", "smith"), ("Brown", "brown"), ("Murphy", "murphy"),
            ("Dubois", "dubois"), ("Silva", "silva"), ("Jansen", "jansen"), ("Novák", "novak"), ("Nyström", "nystrom"), ("Costa", "costa"),
            ("Keller", "keller"), ("Hall", "hall"), ("Iversen", "iversen"), ("Bąk", "bak"), ("Şahin", "sahin"), ("Walker", "walker"),
        ],
    },
    Script {
        weight: 7,
        given: &[("Алексей", "aleksei"), ("Мария", "mariya"), ("Дмитрий", "dmitri"), ("Ольга", "olga"), ("Сергій", "serhii"), ("Оксана", "oksana"), ("Борис", "boris"), ("Ирина", "irina")],
        surnames: &[("Иванов", "ivanov"), ("Шевченко", "shevchenko"), ("Петров", "petrov"), ("Коваленко", "kovalenko"), ("Соколов", "sokolov"), ("Димитров", "dimitrov"), ("Мельник", "melnyk")],
    },
    Script {
        weight: 4,
        given: &[("Γεώργιος", "georgios"), ("Μαρία", "maria"), ("Ελένη", "eleni"), ("Νίκος", "nikos"), ("Σοφία", "sofia")],
        surnames: &[("Παπαδόπουλος", "papadopoulos"), ("Νικολαΐδης", "nikolaidis"), ("Γεωργίου", "georgiou"), ("Οικονόμου", "oikonomou")],
    },
    Script {
        weight: 6,
        given: &[("محمد", "mohammed"), ("فاطمة", "fatima"), ("أحمد", "ahmed"), ("ليلى", "layla"), ("يوسف", "youssef"), ("مريم", "maryam")],
        surnames: &[("الحسن", "alhassan"), ("العلي", "alali"), ("منصور", "mansour"), ("خليل", "khalil"), ("حداد", "haddad")],
    },
    Script {
        weight: 3,
        given: &[("דוד", "david"), ("שרה", "sara"), ("נועה", "noa"), ("יונתן", "yonatan"), ("תמר", "tamar")],
        surnames: &[("כהן", "cohen"), ("לוי", "levi"), ("מזרחי", "mizrahi"), ("פרץ", "peretz")],
    },
    Script {
        weight: 9,
        given: &[("伟", "wei"), ("芳", "fang"), ("娜", "na"), ("强", "qiang"), ("秀英", "xiuying"), ("敏", "min"), ("静", "jing"), ("磊", "lei")],
        surnames: &[("王", "wang"), ("李", "li"), ("张", "zhang"), ("刘", "liu"), ("陈", "chen"), ("杨", "yang"), ("黄", "huang"), ("赵", "zhao")],
    },
    Script {
        weight: 6,
        given: &[("翔太", "shota"), ("美咲", "misaki"), ("健", "ken"), ("さくら", "sakura"), ("大輔", "daisuke"), ("陽子", "yoko")],
        surnames: &[("佐藤", "sato"), ("鈴木", "suzuki"), ("高橋", "takahashi"), ("田中", "tanaka"), ("渡辺", "watanabe"), ("伊藤", "ito")],
    },
    Script {
        weight: 4,
        given: &[("민준", "minjun"), ("서연", "seoyeon"), ("지훈", "jihoon"), ("수빈", "subin"), ("하은", "haeun")],
        surnames: &[("김", "kim"), ("이", "lee"), ("박", "park"), ("최", "choi"), ("정", "jung")],
    },
    Script {
        weight: 6,
        given: &[("आरव", "aarav"), ("प्रिया", "priya"), ("अर्जुन", "arjun"), ("दीपिका", "deepika"), ("रोहन", "rohan"), ("अनन्या", "ananya")],
        surnames: &[("शर्मा", "sharma"), ("वर्मा", "verma"), ("गुप्ता", "gupta"), ("सिंह", "singh"), ("पटेल", "patel")],
    },
    Script {
        weight: 3,
        given: &[("สมชาย", "somchai"), ("สุดา", "suda"), ("กิตติ", "kitti"), ("มาลี", "malee")],
        surnames: &[("แสงทอง", "saengthong"), ("ศรีสุข", "srisuk"), ("บุญมี", "boonmee")],
    },
];

/// Departments with titles from the top down.
pub(super) static DEPARTMENTS: &[(&str, [&str; 4])] = &[
    ("Engineering", ["Chief Technology Officer", "Engineering Manager", "Senior Software Engineer", "Software Engineer"]),
    ("Sales", ["Chief Revenue Officer", "Regional Sales Manager", "Account Executive", "Sales Development Representative"]),
    ("Marketing", ["Chief Marketing Officer", "Marketing Manager", "Content Strategist", "Marketing Specialist"]),
    ("Finance", ["Chief Financial Officer", "Controller", "Senior Accountant", "Accountant"]),
    ("Human Resources", ["Chief People Officer", "HR Business Partner", "Recruiter", "HR Coordinator"]),
    ("Operations", ["Chief Operating Officer", "Operations Manager", "Logistics Planner", "Operations Associate"]),
    ("Legal & Compliance", ["General Counsel", "Senior Counsel", "Compliance Officer", "Paralegal"]),
    ("Information Technology", ["Chief Information Officer", "IT Manager", "Systems Administrator", "Helpdesk Analyst"]),
    ("Security", ["Chief Information Security Officer", "Security Manager", "Security Engineer", "SOC Analyst"]),
    ("Customer Success", ["VP Customer Success", "Support Manager", "Customer Success Manager", "Support Engineer"]),
    ("Product", ["Chief Product Officer", "Group Product Manager", "Product Manager", "Associate Product Manager"]),
    ("Research", ["VP Research", "Research Lead", "Senior Scientist", "Scientist"]),
];

/// Office, street, city, state, postal code, country, usage location, language, dialling prefix.
pub(super) type Office = (&'static str, &'static str, &'static str, Option<&'static str>, &'static str, &'static str, &'static str, &'static str, &'static str);

pub(super) static OFFICES: &[Office] = &[
    ("SEA-12/3210", "1420 5th Ave", "Seattle", Some("WA"), "98101", "United States", "US", "en-US", "+1 206 555"),
    ("NYC-4/880", "11 W 42nd St", "New York", Some("NY"), "10036", "United States", "US", "en-US", "+1 212 555"),
    ("LDN-2/14", "30 St Mary Axe", "London", None, "EC3A 8BF", "United Kingdom", "GB", "en-GB", "+44 20 7946"),
    ("BER-1/4.07", "Friedrichstraße 68", "Berlin", None, "10117", "Germany", "DE", "de-DE", "+49 30 555"),
    ("PAR-3/512", "12 rue de la Paix", "Paris", None, "75002", "France", "FR", "fr-FR", "+33 1 55 55"),
    ("STO-1/22", "Sveavägen 44", "Stockholm", None, "111 34", "Sweden", "SE", "sv-SE", "+46 8 555"),
    ("WAW-1/9", "ul. Prosta 20", "Warszawa", None, "00-850", "Poland", "PL", "pl-PL", "+48 22 555"),
    ("TYO-1/31", "丸の内1-1-1", "東京", None, "100-0005", "Japan", "JP", "ja-JP", "+81 3 5555"),
    ("SEL-1/7", "테헤란로 152", "서울", None, "06236", "Korea", "KR", "ko-KR", "+82 2 555"),
    ("SHA-2/18", "南京西路1266号", "上海", None, "200040", "China", "CN", "zh-CN", "+86 21 5555"),
    ("BLR-1/6", "MG Road 77", "Bengaluru", Some("Karnataka"), "560001", "India", "IN", "en-IN", "+91 80 5555"),
    ("DXB-1/40", "Sheikh Zayed Rd", "Dubai", None, "00000", "United Arab Emirates", "AE", "ar-AE", "+971 4 555"),
    ("TLV-1/5", "Rothschild Blvd 22", "Tel Aviv", None, "6688218", "Israel", "IL", "he-IL", "+972 3 555"),
    ("SAO-1/11", "Av. Paulista 1000", "São Paulo", Some("SP"), "01310-100", "Brazil", "BR", "pt-BR", "+55 11 5555"),
];

/// What groups are about.
pub(super) static TOPICS: &[&str] = &[
    "Onboarding", "Release Train", "Budget 2027", "Offsite", "Incident Response", "Design System", "Quarterly Review", "VPN Users",
    "Confluence Editors", "GitHub Enterprise", "Salesforce Users", "Fire Wardens", "Data Platform", "Works Council", "Beta Testers",
    "Expense Approvers", "Laptop Refresh", "Café Club", "Running Club", "Translation",
];
